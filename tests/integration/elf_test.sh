#!/usr/bin/env bash
# Reads the built program: what guards it must be in it.
# usage: elf_test.sh SLUICE [--as-shipped]: the guards of the compiler too, and no symbols
set -u
program=$1 shipped=${2:-}
failures=0
expect() {  # WHAT PATTERN, over standard input
  if ! grep -Eq -- "$2"; then
    echo "$program has no $1" >&2
    failures=$((failures + 1))
  fi
}
export LC_ALL=C
readelf -hW "$program" | expect "position independence" 'Type: +DYN'
readelf -dW "$program" | expect "immediate binding" 'BIND_NOW|NOW'
readelf -dW "$program" | expect "mark as a position independent program" 'PIE'
readelf -lW "$program" | expect "read-only relocations" 'GNU_RELRO'
readelf -lW "$program" | expect "stack that can't be executed" 'GNU_STACK.* RW '
if [ -n "$shipped" ]; then
  readelf -sW --dyn-syms "$program" | expect "guard of the stack" '__stack_chk_fail'
  readelf -sW --dyn-syms "$program" | expect "guard of buffers" '__(memcpy|sprintf|snprintf|vsnprintf|read|recv|fdelt|fprintf|strcpy|poll)_chk'
  if [ "$(uname -m)" = x86_64 ]; then
    readelf -nW "$program" | expect "guard of branches" 'IBT'
    readelf -nW "$program" | expect "shadow stack" 'SHSTK'
  fi
  if readelf -SW "$program" | grep -Eq '\.debug_info|\.symtab'; then
    echo "$program carries its symbols" >&2
    failures=$((failures + 1))
  fi
  readelf -SW "$program" | expect "link to its symbols" '\.gnu_debuglink'
  readelf -SW "$program.debug" 2>/dev/null | expect "symbols beside it" '\.debug_info'
fi
if readelf -lW "$program" | grep -Eq 'LOAD.* RWE '; then
  echo "$program has memory that is both writable and executable" >&2
  failures=$((failures + 1))
fi
exit $((failures > 0))
