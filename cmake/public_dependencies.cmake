# What the libraries themselves link; an app that finds the umbel package needs these and no more.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json REQUIRED)
foreach(name zip protobuf-lite deflate)
  find_library(UMBEL_${name}_LIBRARY ${name} REQUIRED)
  if(NOT TARGET umbel_${name})
    add_library(umbel_${name} UNKNOWN IMPORTED)
    set_target_properties(umbel_${name} PROPERTIES IMPORTED_LOCATION "${UMBEL_${name}_LIBRARY}")
  endif()
endforeach()
# The static library, of which Zstandard's part alone is linked: the shared one brings ICU and XML into
# every process, which costs each start of a program 6 ms.
find_library(UMBEL_libarchive_LIBRARY NAMES libarchive.a REQUIRED)
find_library(UMBEL_zstd_LIBRARY NAMES zstd libzstd.so.1 REQUIRED)
if(NOT TARGET umbel_archive)
  add_library(umbel_archive UNKNOWN IMPORTED)
  set_target_properties(umbel_archive PROPERTIES IMPORTED_LOCATION "${UMBEL_libarchive_LIBRARY}"
    INTERFACE_LINK_LIBRARIES "${UMBEL_zstd_LIBRARY}")
endif()
