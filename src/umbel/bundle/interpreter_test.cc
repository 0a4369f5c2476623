#include "umbel/bundle/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>

namespace umbel::bundle {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

// A variable of this process's environment as it is to be for one test.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value != nullptr ? setenv(name, value, 1) : unsetenv(name);
  }
  ~Variable() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

class InterpreterTest : public testing::Test {
 protected:
  InterpreterTest() {
    std::string pattern = (fs::temp_directory_path() / "umbel-python-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~InterpreterTest() override { fs::remove_all(folder_); }

  fs::path file(const std::string& path, const std::string& text = "#!/bin/sh\n") const {
    const fs::path whole = folder_ / path;
    fs::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
    fs::permissions(whole, fs::perms(0755));
    return whole;
  }
  InterpreterSearch search(bool of_user = true) const {
    return {.given = "", .of_user = of_user, .self = folder_ / "tree/bin/umbel"};
  }
  std::string origin(const InterpreterSearch& search) const {
    const auto found = find_interpreter(search);
    return found.ok() ? found->origin : message_of(found.status());
  }
  // What the command says and how it ends, in the folder "app" and with these packages.
  struct Said {
    int code = 0;
    std::string text;
  };
  Said run(const std::string& before, const std::string& module = "umbel") const {
    fs::create_directories(folder_ / "app");
    const Interpreter python{"/usr/bin/python3", "PATH", folder_ / "packages"};
    std::ofstream(folder_ / "start.py") << before << python_command(python, module, {}).at(2);
    const std::string line = fmt::format(
        "cd {0}/app && PYTHONPATH={0}/packages /usr/bin/python3 -c \"$(cat ../start.py)\" one two "
        "2>&1",
        folder_.string());
    Said said;
    FILE* pipe = popen(line.c_str(), "r");
    char piece[4096];
    while (const size_t got = fread(piece, 1, sizeof piece, pipe)) said.text.append(piece, got);
    said.code = WEXITSTATUS(pclose(pipe));
    return said;
  }

  fs::path folder_;
  Variable chosen_{"UMBEL_PYTHON", nullptr}, environment_{"VIRTUAL_ENV", nullptr},
      path_{"PYTHONPATH", nullptr};
};

TEST_F(InterpreterTest, TheFirstPlaceThatHasOneWins) {
  const fs::path bin = file("path/python3").parent_path();
  const std::string folders = bin.string() + ":/usr/bin:/bin";
  const Variable path("PATH", folders.c_str());
  EXPECT_EQ(origin(search()), "PATH");
  file("tree/python-env/bin/python");
  EXPECT_EQ(origin(search()), "the build's");
  file("tree/bin/python3");
  EXPECT_EQ(origin(search()), "beside umbel");
  const std::string venv = file("venv/bin/python").parent_path().parent_path().string();
  const Variable environment("VIRTUAL_ENV", venv.c_str());
  EXPECT_EQ(origin(search()), "VIRTUAL_ENV");
  EXPECT_EQ(origin(search(false)), "beside umbel");
  const Variable chosen("UMBEL_PYTHON", "python3");
  EXPECT_EQ(origin(search()), "UMBEL_PYTHON");
  EXPECT_EQ(find_interpreter(search())->program, bin / "python3");
  InterpreterSearch given = search();
  given.given = (folder_ / "venv/bin/python").string();
  EXPECT_EQ(origin(given), "--python");
}

TEST_F(InterpreterTest, OneThatWasNamedHasToBeThere) {
  InterpreterSearch given = search();
  given.given = "/nowhere/python";
  EXPECT_THAT(origin(given), StartsWith("--python /nowhere/python: no such interpreter"));
  const Variable chosen("UMBEL_PYTHON", folder_.c_str());
  EXPECT_THAT(origin(search()), StartsWith("UMBEL_PYTHON " + folder_.string()));
}

TEST_F(InterpreterTest, WithoutAnyItSaysWhatToDo) {
  const Variable path("PATH", folder_.c_str());
  EXPECT_THAT(origin(search()), HasSubstr("install Python 3.10 or newer, or name one"));
}

TEST_F(InterpreterTest, ABuildTreeHasThePackage) {
  const Variable path("PATH", file("path/python3").parent_path().c_str());
  EXPECT_EQ(find_interpreter(search())->package, "");
  file("tree/python/umbel/__init__.py");
  EXPECT_EQ(find_interpreter(search())->package, folder_ / "tree/python");
}

TEST_F(InterpreterTest, WhatIsWrongIsOneLineWithTheInterpreterAndWhatToDo) {
  const auto one_line = [](const Said& said) {
    EXPECT_EQ(said.code, 4) << said.text;
    EXPECT_THAT(said.text, StartsWith("/usr/bin/python3: "));
    EXPECT_THAT(said.text, HasSubstr("--python or UMBEL_PYTHON"));
    EXPECT_EQ(std::ranges::count(said.text, '\n'), 1) << said.text;
    return said.text;
  };
  EXPECT_THAT(one_line(run("import sys; sys.version_info = (3, 9, 2, 'final', 0)\n")),
              HasSubstr("is Python 3.9, Umbel needs 3.10 or newer"));
  EXPECT_THAT(one_line(run("")), HasSubstr("No module named 'umbel': `/usr/bin/python3 -m pip "
                                           "install umbel==" UMBEL_VERSION "` installs it"));
  file("packages/umbel/__init__.py", "");
  EXPECT_THAT(one_line(run("")), HasSubstr("has something else as umbel"));
  file("packages/umbel/__init__.py", "__version__ = '0.0.7'\n");
  file("packages/umbel/_core.py", "");
  EXPECT_THAT(one_line(run("")), HasSubstr("has umbel 0.0.7, this is " UMBEL_VERSION));
  fs::remove(folder_ / "packages/umbel/_core.py");
  file("packages/umbel/__init__.py", "from umbel._core import __version__\n");
  EXPECT_THAT(one_line(run("")),
              HasSubstr("No module named 'umbel._core': `/usr/bin/python3 -m pip "
                        "install umbel=="));
  file("packages/umbel/_core.cpython-399-x86_64-linux-gnu.so", "");
  EXPECT_THAT(one_line(run("")), HasSubstr("was compiled for another (_core.cpython-399-"));
  file("packages/umbel/__init__.py", "import no_such_numbers\n");
  EXPECT_THAT(one_line(run("")), HasSubstr("-m pip install no_such_numbers`"));
}

TEST_F(InterpreterTest, AGoodOneRunsTheModuleWithTheAppsFolderFirst) {
  file("packages/umbel/__init__.py", "__version__ = '" UMBEL_VERSION "'\n");
  file("packages/umbel/_core.py", "");
  file("packages/umbel/__main__.py",
       "import os, sys\nimport app\nprint(sys.argv[1:], sys.path[0] == os.getcwd(), app.here)\n");
  file("app/app.py", "here = 'the app'\n");
  file("app/umbel.py", "raise SystemExit('not this one')\n");
  const Said said = run("");
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(said.text, "['one', 'two'] True the app\n");
  EXPECT_EQ(run("", "").text, "") << "no module: only the checks";
}

TEST_F(InterpreterTest, ARunHearsOfItAsOfAnyThatFailed) {
  const Said said = run("import os; os.environ['UMBEL_EVENTS_FD'] = '1'\n");
  EXPECT_THAT(said.text, HasSubstr("{\"event\": \"finished\", \"status\": \"failed\", \"error\": "
                                   "\"/usr/bin/python3: cannot import umbel"));
  EXPECT_THAT(said.text, HasSubstr("\"exit-code\": 4}\n"));
}

TEST_F(InterpreterTest, NumericalLibrariesHaveOneThreadUnlessToldOtherwise) {
  const Variable threads("OPENBLAS_NUM_THREADS", "3"), other("OMP_NUM_THREADS", nullptr);
  const auto found = python_environment({"/usr/bin/python3", "PATH", ""}, true);
  std::map<std::string, std::string> environment(found.begin(), found.end());
  EXPECT_EQ(environment["OPENBLAS_NUM_THREADS"], "3");
  EXPECT_EQ(environment["OMP_NUM_THREADS"], "1");
  EXPECT_EQ(environment["MKL_NUM_THREADS"], "1");
  EXPECT_EQ(environment["TF_NUM_INTRAOP_THREADS"], "1");
  EXPECT_EQ(environment["TF_NUM_INTEROP_THREADS"], "1");
  EXPECT_EQ(environment["TF_CPP_MIN_LOG_LEVEL"], "1");
  EXPECT_EQ(environment["PYTHONHASHSEED"], "0");
  EXPECT_FALSE(environment.contains("XLA_FLAGS"));
  EXPECT_FALSE(environment.contains("PYTHONPATH"));
}

TEST_F(InterpreterTest, AUsersPythonpathStaysAndADaemonsDoesNot) {
  const Variable path("PYTHONPATH", "/of/the/user");
  const Interpreter python{"/usr/bin/python3", "PATH", "/tree/python"};
  const auto path_of = [&](bool of_user) {
    const auto found = python_environment(python, of_user);
    return std::map<std::string, std::string>(found.begin(), found.end())["PYTHONPATH"];
  };
  EXPECT_EQ(path_of(true), "/tree/python:/of/the/user");
  EXPECT_EQ(path_of(false), "/tree/python");
}

TEST(PythonEntry, ObjectsAndModulesAreNames) {
  for (const char* good : {"app:server", "a.b_2.c:x.y", "_a:_"}) {
    EXPECT_TRUE(check_python_object(good).ok()) << good;
  }
  for (const char* bad : {"", "app", "app:", ":x", "a b:c", "a:b:c", "../a:b", "a.:b", ".a:b",
                          "1a:b", "a:1", "caf\xc3\xa9:x", "a;import os:x", "--flower"}) {
    EXPECT_FALSE(check_python_object(bad).ok()) << bad;
  }
  EXPECT_FALSE(check_python_object(std::string(300, 'a') + ":b").ok());
  EXPECT_TRUE(check_python_module("my_app.app").ok());
  EXPECT_FALSE(check_python_module("my-app").ok());
}

TEST(PythonEntry, AProcessIsToldOfTheSidesThatItHas) {
  const PythonEntry entry{"a:server", "b:client", true};
  using testing::ElementsAre;
  EXPECT_THAT(entry_arguments(entry, PythonSides::kBoth),
              ElementsAre("--server", "a:server", "--client", "b:client", "--flower"));
  EXPECT_THAT(entry_arguments(entry, PythonSides::kClient),
              ElementsAre("--client", "b:client", "--flower"));
  EXPECT_THAT(entry_arguments({"a:server", "", false}, PythonSides::kBoth),
              ElementsAre("--server", "a:server"));
}

}  // namespace
}  // namespace umbel::bundle
