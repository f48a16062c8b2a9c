# What makes a fault in memory harder to use. Each part is taken where compiler and linker have it;
# tests/integration/elf_test.sh reads the program that comes out of it.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
include(CheckLinkerFlag)

set(hardening_links -pie)
foreach(word relro now noexecstack)
  check_linker_flag(CXX "-Wl,-z,${word},--fatal-warnings" SLUICE_HAS_LINK_${word})
  if(SLUICE_HAS_LINK_${word})
    list(APPEND hardening_links -Wl,-z,${word})
  endif()
endforeach()
target_link_options(sluice_options INTERFACE ${hardening_links})
if(NOT SLUICE_HARDEN)
  return()
endif()

set(hardening -fPIE)
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
  string(MAKE_C_IDENTIFIER "SLUICE_HAS${flag}" has)
  check_cxx_compiler_flag("${flag} -Werror" ${has})
  if(${has})
    list(APPEND hardening ${flag})
  endif()
endforeach()

# Level 3 knows sizes that are computed at run time (g++ 12, glibc 2.34); others take 2.
set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_cxx_source_compiles("#include <cstring>\nint main() { return 0; }" SLUICE_HAS_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
list(APPEND hardening -U_FORTIFY_SOURCE)
if(SLUICE_HAS_FORTIFY_3)
  list(APPEND hardening -D_FORTIFY_SOURCE=3)
else()
  list(APPEND hardening -D_FORTIFY_SOURCE=2)
endif()

target_compile_options(sluice_options INTERFACE ${hardening})

# The start files of some distributions lack the marks, and one that lacks them takes them from the
# whole program.
foreach(word ibt shstk)
  check_linker_flag(CXX "-Wl,-z,${word},--fatal-warnings" SLUICE_HAS_LINK_${word})
  if(SLUICE_HAS_fcf_protection_full AND SLUICE_HAS_LINK_${word})
    target_link_options(sluice_options INTERFACE -Wl,-z,${word})
  endif()
endforeach()
