# Compiler and linker settings that hold for every target of this project.

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE}")
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -Werror=return-type -Werror=unused-result)
# The same source gives the same bits on every target: no compiler fuses a multiply and an add.
add_compile_options(-ffp-contract=off)
add_link_options(-Wl,--as-needed)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")

if(UMBEL_SANITIZE)
  add_compile_options(-fsanitize=${UMBEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${UMBEL_SANITIZE})
endif()
