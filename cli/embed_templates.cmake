# cmake -DROOT=<templates folder> -DFILES=<a;b;...> -DOUTPUT=<file.cc> -P embed_templates.cmake
#
# Writes a C++ file with the content of every template file, so that `umbel new` needs no file
# besides the program itself.
set(text "#include \"templates.h\"\n\nnamespace umbel::cli {\n\nnamespace {\n\n")
set(table "")
set(count 0)
list(SORT FILES)
foreach(path IN LISTS FILES)
  string(FIND "${path}" "/" slash)
  string(SUBSTRING "${path}" 0 ${slash} template)
  math(EXPR slash "${slash} + 1")
  string(SUBSTRING "${path}" ${slash} -1 inner)
  file(READ "${ROOT}/${path}" hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR bytes "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," array "${hex}")
  string(REPEAT "0x..," 16 line)
  string(REGEX REPLACE "(${line})" "\\1\n" array "${array}")
  string(APPEND text "constexpr unsigned char kFile${count}[] = {\n${array}0x00};\n")
  string(APPEND table "    {\"${template}\", \"${inner}\", "
         "{reinterpret_cast<const char*>(kFile${count}), ${bytes}}},\n")
  math(EXPR count "${count} + 1")
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "no templates under ${ROOT}")
endif()
string(APPEND text "\nconst TemplateFile kFiles[] = {\n${table}};\n\n}  // namespace\n\n"
  "std::span<const TemplateFile> template_files() { return kFiles; }\n\n"
  "}  // namespace umbel::cli\n")
file(WRITE "${OUTPUT}" "${text}")
