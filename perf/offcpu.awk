# Folds the times that threads were not running: perf script of sched:sched_switch on all cores -> "frame;frame;frame microseconds".
# usage: perf script ... | awk -v tids="1 2 3" -f offcpu.awk
BEGIN { n = split(tids, list, " "); for (i = 1; i <= n; ++i) ours[list[i]] = 1 }
function end_of_stack() {
  if (leaving != "") stack[leaving] = frames
  leaving = ""
  frames = ""
}
/sched:sched_switch:/ {
  end_of_stack()
  for (i = 1; i <= NF; ++i) if ($i ~ /^[0-9]+\.[0-9]+:$/) { at = $i; sub(":", "", at) }
  match($0, /prev_pid=[0-9]+/); prev = substr($0, RSTART + 9, RLENGTH - 9)
  match($0, /next_pid=[0-9]+/); next_ = substr($0, RSTART + 9, RLENGTH - 9)
  if (next_ in since) {
    if (stack[next_] != "") sum[stack[next_]] += (at - since[next_]) * 1e6
    delete since[next_]
  }
  if (prev in ours) { since[prev] = at; leaving = prev }
  next
}
/^[ \t]+[0-9a-f]+ / {
  if (leaving == "") next
  name = $0
  sub(/^[ \t]*[0-9a-f]+ /, "", name)
  sub(/ \([^()]*\)$/, "", name)
  sub(/\+0x[0-9a-f]+$/, "", name)
  gsub(/;/, ":", name)
  gsub(/\(anonymous namespace\)::/, "", name)
  sub(/\(.*$/, "", name)
  frames = frames == "" ? name : name ";" frames
}
END { end_of_stack(); for (one in sum) if (sum[one] >= 1) printf "%s %d\n", one, sum[one] }
