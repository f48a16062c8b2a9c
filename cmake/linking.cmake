# SLUICE_PACKAGE: what Debian 12 has too old (liburing) or not at all (llhttp) becomes part of the program, so that it runs
# where only the distribution's own libraries are. Both are small and make no use of other libraries.
option(SLUICE_PACKAGE "Link liburing and llhttp statically, as the packages do" OFF)
if(SLUICE_PACKAGE)
  foreach(library uring llhttp)
    find_library(SLUICE_STATIC_${library} NAMES lib${library}.a REQUIRED)
  endforeach()
  set_property(TARGET PkgConfig::LIBURING PROPERTY INTERFACE_LINK_LIBRARIES ${SLUICE_STATIC_uring})
  set_property(TARGET PkgConfig::LLHTTP PROPERTY INTERFACE_LINK_LIBRARIES ${SLUICE_STATIC_llhttp})
endif()
