# perf script -> one line a stack: outermost;...;innermost COUNT
function emit(   i, line) {
  if (depth == 0) return
  line = name
  for (i = depth; i >= 1; i--) line = line ";" stack[i]
  count[line]++
  depth = 0
}
/^[^ \t#]/ { emit(); name = $1; next }        # the line that opens a sample: the thread's name
/^$/ { emit(); next }
{
  symbol = $0
  sub(/^[ \t]*[0-9a-f]+ /, "", symbol)          # address
  sub(/ \([^()]*\)$/, "", symbol)               # object
  sub(/\+0x[0-9a-f]+$/, "", symbol)             # offset
  gsub(/;/, ":", symbol)
  gsub(/\(anonymous namespace\)::/, "", symbol)
  sub(/\(.*$/, "", symbol)                      # arguments
  if (symbol == "") symbol = "[unknown]"
  stack[++depth] = symbol
}
END { emit(); for (line in count) print line, count[line] }
