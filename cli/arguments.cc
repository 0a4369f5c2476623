#include "arguments.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <charconv>
#include <functional>
#include <sstream>
#include <string_view>

#include "umbel/base/text.h"

namespace umbel::cli {

namespace {

constexpr int64_t kThreadsMax = 1024;
constexpr const char* kRun = "The run's number, as `umbel ls` shows it; none: the latest";
constexpr const char* kPython = "The Python interpreter, for apps in Python";
constexpr const char* kLink = "A link profile of config.toml; none: this machine";

// The parser's own conversion takes what is beyond 64 bits as the nearest that fits, and 010 as
// eight: it gets the number in decimal once it is known to be good.
CLI::Validator whole_number(int64_t least, int64_t most) {
  const auto check = [least, most](std::string& text) -> std::string {
    int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number < least || number > most) {
      return fmt::format("expected a whole number from {} to {}, got \"{}\"", least, most, text);
    }
    text = std::to_string(number);
    return "";
  };
  return CLI::Validator(check, fmt::format("INT in [{} - {}]", least, most));
}

// Where the parser writes; one value of each command's options, of which one is used.
struct Parsed {
  std::string format = "text";
  NewOptions create;
  PortOptions port;
  BuildOptions build;
  RunOptions run;
  LsOptions ls;
  RoundsOptions rounds;
  LogOptions log;
  StopOptions stop;
  PullOptions pull;
  ReportOptions report;
  LinkOptions link;
  SupernodeOptions supernode;
  AccountOptions account;
  UpOptions up;
  PlanOptions plan;
  DataOptions data;
  DoctorOptions doctor;
  std::function<CommandOptions()> chosen;
};

CLI::App* add_command(CLI::App& app, Parsed& parsed, const char* name, const char* text) {
  CLI::App* command = app.add_subcommand(name, text);
  const bool csv = std::string_view(name) == "rounds";
  command
      ->add_option("--format", parsed.format,
                   csv ? "text, csv, or one JSON object as the last line"
                       : "text, or one JSON object as the last line")
      ->check(CLI::IsMember(csv ? std::vector<std::string>{"text", "csv", "json"}
                                : std::vector<std::string>{"text", "json"}));
  return command;
}

void add_new(CLI::App& app, Parsed& parsed) {
  NewOptions& options = parsed.create;
  CLI::App* command = add_command(app, parsed, "new", "Make a new app from a template");
  command->add_option("NAME", options.name, "The app's name: a-z, 0-9 and -");
  command->add_option("-t,--template", options.template_name, "The template to start from");
  command->add_option("-d,--directory", options.directory, "The folder to make (default: NAME)");
  command->add_option("--publisher", options.publisher, "Who publishes it (default: example)");
  command->add_option("--python", options.python, kPython);
  command->callback([&] { parsed.chosen = [&] { return options; }; });
}

void add_port(CLI::App& app, Parsed& parsed) {
  PortOptions& options = parsed.port;
  CLI::App* command = add_command(app, parsed, "port", "Turn an app for Flower into one for Umbel");
  command->add_option("APP", options.app, "The app's folder")->required();
  command->add_flag("--dry-run", options.dry_run, "Change nothing, and show what would change");
  command->add_option("--python", options.python, kPython);
  command->callback([&] { parsed.chosen = [&] { return options; }; });
}

void add_build(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, parsed, "build", "Build an app's program");
  command->add_option("APP", parsed.build.app, "The app's folder (default: .)");
  command->callback([&] { parsed.chosen = [&] { return parsed.build; }; });
}

void add_run(CLI::App& app, Parsed& parsed) {
  RunOptions& options = parsed.run;
  CLI::App* command = add_command(app, parsed, "run", "Build an app and run it");
  command->add_option("APP", options.app, "The app's folder (default: .)");
  command->add_option("LINK", options.link, kLink);
  command
      ->add_option("-c,--run-config", options.run_config,
                   "Overrides of [config]: 'rounds=5 title=\"two words\"'; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option("--nodes", options.nodes,
                   "Number of virtual clients; on a link: of nodes (default: all)")
      ->transform(whole_number(1, INT64_MAX));
  command->add_option("--seed", options.seed, "The seed of everything random")
      ->transform(whole_number(0, INT64_MAX));
  command->add_option("--threads", options.threads, "Worker threads; 0: every processor")
      ->transform(whole_number(0, kThreadsMax));
  command->add_option("--population", options.population,
                      "A file with the table [population], in place of umbel.toml's");
  command->add_flag("--stream", options.stream, "Show the app's log lines as they come");
  command->add_flag("--build,!--no-build", options.build, "Build first (default), or do not");
  command->add_flag("--report,!--no-report", options.report, "Write report.html (default) or not");
  command->add_flag("--curve", options.curve, "Draw the curve also where output is no terminal");
  command->add_flag("--twin", options.twin,
                    "Train the centralised twin on the pooled data as well, and compare");
  command->add_flag("--debug", options.debug,
                    "The app has the terminal, for breakpoint(): one thread, no progress");
  command->add_option("--python", options.python, kPython);
  command->add_flag("--detach", options.detach, "On a link: start the run and leave it to itself");
  command->add_flag("--pull,!--no-pull", options.pull,
                    "On a link: get the artifacts at the end (default) or do not");
  command
      ->add_option("--wait", options.wait_seconds,
                   "On a link: seconds to wait for the nodes (default: 60)")
      ->transform(whole_number(0, 86'400));
  command->callback([&] { parsed.chosen = [&] { return options; }; });
}

void add_ls(CLI::App& app, Parsed& parsed) {
  LsOptions& options = parsed.ls;
  CLI::App* command = add_command(app, parsed, "ls", "List runs, the latest first");
  command->add_option("LINK", options.link, kLink);
  command->add_option("--status", options.status, "Only runs of this status")
      ->check(CLI::IsMember(
          {"queued", "starting", "running", "completed", "failed", "stopped", "detached"}));
  command->add_option("--app", options.app, "Only runs of this app");
  command->add_option("--limit", options.limit, "At most so many; 0: all (default: 20)")
      ->transform(whole_number(0, INT64_MAX));
  command->add_flag("--watch", options.watch, "On a link: show it anew as the runs go on");
  command->callback([&] { parsed.chosen = [&] { return options; }; });
}

template <class Options>
CLI::App* add_of_run(CLI::App& app, Parsed& parsed, Options& options, const char* name,
                     const char* text) {
  CLI::App* command = add_command(app, parsed, name, text);
  command->add_option("RUN", options.run, kRun)->transform(whole_number(1, INT64_MAX));
  command->add_option("LINK", options.link, kLink);
  command->callback([&] { parsed.chosen = [&] { return options; }; });
  return command;
}

void add_commands_of_runs(CLI::App& app, Parsed& parsed) {
  add_of_run(app, parsed, parsed.rounds, "rounds", "Show a run's rounds with every metric");
  CLI::App* log = add_of_run(app, parsed, parsed.log, "log", "Show the log of a run");
  log->add_option("--side", parsed.log.side, "server, client, app (its own output) or all")
      ->check(CLI::IsMember({"server", "client", "app", "all"}));
  log->add_flag("-f,--follow", parsed.log.follow, "Go on until the run ends");
  log->add_option("--limit", parsed.log.limit, "Only the last so many lines; 0: all")
      ->transform(whole_number(0, INT64_MAX));
  add_of_run(app, parsed, parsed.stop, "stop", "Stop a run");
  CLI::App* pull = add_of_run(app, parsed, parsed.pull, "pull", "Copy what a run made");
  pull->add_option("--to", parsed.pull.to, "The folder to copy to (default: run-RUN)");
  pull->add_flag("--force", parsed.pull.force, "Overwrite files that are there");
  CLI::App* report = add_of_run(app, parsed, parsed.report, "report", "Write a run's HTML page");
  report->add_option("-o,--output", parsed.report.output,
                     "The file (default: in the run's folder)");
}

// A command of its own beneath another: `umbel link add`.
template <class Options>
CLI::App* add_change(CLI::App* above, Parsed& parsed, Options& options, Change change,
                     const char* name, const char* text) {
  CLI::App* command = add_command(*above, parsed, name, text);
  command->callback([&, change] {
    options.change = change;
    parsed.chosen = [&] { return options; };
  });
  return command;
}

void add_link_commands(CLI::App& app, Parsed& parsed) {
  LinkOptions& options = parsed.link;
  CLI::App* above = app.add_subcommand("link", "Where the hubs are that runs can go to");
  above->require_subcommand(1);
  CLI::App* add = add_change(above, parsed, options, Change::kAdd, "add", "Add a link profile");
  add->add_option("NAME", options.name, "Its name: a-z, 0-9 and -")->required();
  add->add_option("ADDRESS", options.address, "The hub's HOST:PORT")->required();
  add->add_option("--trust", options.trust,
                  "sha256:... of the hub's authority, as the hub prints it");
  add->add_option("--key", options.key, "The private key to log in with (default: the user's)");
  add->add_flag("--insecure-no-tls", options.plain, "Without TLS: on a loopback interface only");
  add_change(above, parsed, options, Change::kList, "ls", "List the link profiles");
  CLI::App* remove =
      add_change(above, parsed, options, Change::kRemove, "remove", "Remove a link profile");
  remove->add_option("NAME", options.name, "Its name")->required();
}

void add_supernode_commands(CLI::App& app, Parsed& parsed) {
  SupernodeOptions& options = parsed.supernode;
  CLI::App* above = app.add_subcommand("supernode", "The nodes that a hub knows");
  above->require_subcommand(1);
  CLI::App* add = add_change(above, parsed, options, Change::kAdd, "register", "Let a node join");
  add->add_option("NAME", options.name, "Its name at the hub")->required();
  add->add_option("KEY", options.key, "Its public key, as umbel-supernode prints it")->required();
  CLI::App* remove = add_change(above, parsed, options, Change::kRemove, "unregister",
                                "Take a node's right away, and cut it off");
  remove->add_option("NAME", options.name, "Its name at the hub")->required();
  CLI::App* list = add_change(above, parsed, options, Change::kList, "ls", "List the nodes");
  for (CLI::App* command : {add, remove, list}) {
    command->add_option("LINK", options.link, "A link profile of config.toml")->required();
  }
  add->add_option("--federation", options.federation, "The federation that it belongs to");
}

void add_account_commands(CLI::App& app, Parsed& parsed) {
  AccountOptions& options = parsed.account;
  CLI::App* above = app.add_subcommand("account", "The people that a hub knows");
  above->require_subcommand(1);
  CLI::App* add = add_change(above, parsed, options, Change::kAdd, "add", "Add an account");
  add->add_option("NAME", options.name, "Its name at the hub")->required();
  add->add_option("KEY", options.key, "Its public key, as `umbel key` prints it")->required();
  CLI::App* remove =
      add_change(above, parsed, options, Change::kRemove, "remove", "Remove an account");
  remove->add_option("NAME", options.name, "Its name at the hub")->required();
  CLI::App* list = add_change(above, parsed, options, Change::kList, "ls", "List the accounts");
  for (CLI::App* command : {add, remove, list}) {
    command->add_option("LINK", options.link, "A link profile of config.toml")->required();
  }
  add->add_option("--role", options.role, "user (default) or admin")
      ->check(CLI::IsMember({"user", "admin"}));
  add->add_option("--federation", options.federation, "The federation that it belongs to");
}

void add_up(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, parsed, "up", "Run a hub and nodes on this machine, to try");
  command->add_option("--nodes", parsed.up.nodes, "Number of nodes")
      ->required()
      ->transform(whole_number(1, 1000));
  command->add_option("--port", parsed.up.port, "The hub's port; 0: any (default: 9092)")
      ->transform(whole_number(0, 65'535));
  command->add_flag("--detach", parsed.up.detach, "Return once it is up; `umbel down` ends it");
  command->add_option("--python", parsed.up.python, kPython);
  command->callback([&] { parsed.chosen = [&] { return parsed.up; }; });
  CLI::App* down = add_command(app, parsed, "down", "End what `umbel up` runs on this machine");
  down->callback([&] { parsed.chosen = [] { return DownOptions(); }; });
}

void add_plan(CLI::App& app, Parsed& parsed) {
  PlanOptions& options = parsed.plan;
  CLI::App* command = add_command(app, parsed, "plan", "Predict bytes and minutes of a round");
  command->add_option("APP", options.app, "An app: its last run here says how large its model is");
  command->add_option("--model-bytes", options.model_bytes, "Bytes of the model")
      ->transform(whole_number(1, INT64_MAX / 4));
  command->add_option("--params", options.params, "Parameters of the model, of 4 bytes each")
      ->transform(whole_number(1, INT64_MAX / 16));
  command->add_option("--nodes", options.nodes, "Nodes that train in a round")
      ->required()
      ->transform(whole_number(1, 1'000'000));
  command->add_option("--rounds", options.rounds, "Rounds (default: the app's setting)")
      ->transform(whole_number(1, 1'000'000'000));
  command->add_option("--link", options.link_mbit, "Mbit/s of a node's link, each way")
      ->required()
      ->check(CLI::Range(1e-6, 1e9));
  command->add_option("--hub-link", options.hub_mbit, "Mbit/s of the hub's (default: 1000)")
      ->check(CLI::Range(1e-6, 1e9));
  command->add_option("--rtt", options.rtt_ms, "Milliseconds of a round trip (default: 0)")
      ->check(CLI::Range(0.0, 1e6));
  command->callback([&] { parsed.chosen = [&] { return options; }; });
}

void add_doctor(CLI::App& app, Parsed& parsed) {
  DoctorOptions& options = parsed.doctor;
  CLI::App* command = add_command(app, parsed, "doctor", "Say what is wrong, and what to try");
  command->add_option("APP|RUN", options.subject,
                      "An app's folder (default: .), or a run's number");
  command->add_option("LINK", options.link, "With RUN: a link profile; none: this machine");
  command->add_flag("--rules", options.rules, "List the rules");
  command->add_option("--supernode-config", options.supernode_config,
                      "A config file of umbel-supernode");
  command->add_option("--superlink-config", options.superlink_config,
                      "A script or systemd unit that starts umbel-superlink");
  command->callback([&] { parsed.chosen = [&] { return options; }; });
}

void add_partition(CLI::App* command, DataOptions& options) {
  command
      ->add_option("--partition", options.partition,
                   "Measure how this kind of partition would share the examples out")
      ->check(CLI::IsMember({"iid", "dirichlet", "shards", "linear", "square", "exponential",
                             "inner-dirichlet", "natural-id", "grouped-natural-id", "temporal"}));
  command->add_option("--clients", options.clients, "Clients (default: 100, or the natural ids)")
      ->transform(whole_number(1, INT64_MAX));
  command->add_option("--seed", options.seed, "The partition's seed (default: 0)")
      ->transform(whole_number(0, INT64_MAX));
  command->add_option("--alpha", options.alpha, "Of Dirichlet kinds (default: 0.3)");
  command
      ->add_option("--examples-per-client", options.examples_per_client,
                   "Where clients are drawn (default: 60)")
      ->transform(whole_number(1, INT64_MAX));
  command->add_option("--shards-per-client", options.shards_per_client, "Of shards (default: 2)")
      ->transform(whole_number(1, INT64_MAX));
}

void add_data(CLI::App& app, Parsed& parsed) {
  DataOptions& options = parsed.data;
  CLI::App* above = app.add_subcommand("data", "Data sets");
  above->require_subcommand(1);
  CLI::App* command = add_command(*above, parsed, "inspect", "Show what a data set holds");
  command->add_option("PATH", options.path, "A file or a folder")->required();
  command->add_option("--split", options.split, "Which part of a folder (default: train)");
  command->add_option("--features", options.features, "The array of features (default: x)");
  command->add_option("--label", options.label, "The label's column, key or array");
  command->add_option("--natural-id", options.natural_id,
                      "The column, key or array that says whose an example is");
  command->add_option("--ignore", options.ignored, "A column or key to leave out; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--by-site", options.by_site, "Images lie in SITE/CLASS/IMAGE");
  command->add_option("--height", options.height, "Of images, in pixels (default: the first's)")
      ->transform(whole_number(1, 32'768));
  command->add_option("--width", options.width, "Of images, in pixels (default: the first's)")
      ->transform(whole_number(1, 32'768));
  command->add_option("--channels", options.channels, "Of images: 1 grey, 3 colours")
      ->check(CLI::IsMember({"1", "3"}));
  command->add_flag("--resize", options.resize, "Bring images to one size");
  command->add_option("--length", options.length, "Of text: tokens in an example (default: 64)")
      ->transform(whole_number(1, 65'536));
  command->add_option("--owner", options.owner, "Of text: file (default), line or speaker")
      ->check(CLI::IsMember({"file", "line", "speaker"}));
  command->add_flag("--bytes", options.bytes, "Of text: tokens are bytes, not characters");
  add_partition(command, options);
  command->callback([&] { parsed.chosen = [&] { return options; }; });
}

// The arguments may be wrong before --format is reached: a script that asked for JSON gets it.
Format requested_format(int count, const char* const* arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--format=json") return Format::kJson;
    if (argument == "--format" && i + 1 < count && std::string_view(arguments[i + 1]) == "json") {
      return Format::kJson;
    }
  }
  return Format::kText;
}

std::string command_hint(const CLI::App& app, int count, const char* const* arguments) {
  if (count < 2 || arguments[1][0] == '-') return "";
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == arguments[1]) return "";
    names.push_back(command->get_name());
  }
  return "no command \"" + escaped(arguments[1]) + "\"" + did_you_mean(arguments[1], names) +
         "; `umbel --help` lists them";
}

}  // namespace

std::variant<Invocation, EndedByArguments> parse_arguments(int count,
                                                           const char* const* arguments) {
  Parsed parsed;
  CLI::App app{"Umbel: federated AI in native C++.  docs/cli.md has every command."};
  app.name("umbel");
  app.set_version_flag("--version", std::string("umbel " UMBEL_VERSION));
  app.require_subcommand(1);
  add_new(app, parsed);
  add_port(app, parsed);
  add_build(app, parsed);
  add_run(app, parsed);
  add_ls(app, parsed);
  add_commands_of_runs(app, parsed);
  add_link_commands(app, parsed);
  add_supernode_commands(app, parsed);
  add_account_commands(app, parsed);
  add_up(app, parsed);
  add_plan(app, parsed);
  add_doctor(app, parsed);
  add_data(app, parsed);
  CLI::App* key = add_command(app, parsed, "key", "Print this user's public key");
  key->callback([&] { parsed.chosen = [] { return KeyOptions(); }; });
  if (count < 2) return EndedByArguments{Format::kText, kDone, app.help()};
  try {
    app.parse(count, arguments);
  } catch (const CLI::Success& asked_for) {
    std::ostringstream text, unused;
    app.exit(asked_for, text, unused);
    return EndedByArguments{Format::kText, kDone, text.str()};
  } catch (const CLI::Error& error) {
    std::string text = command_hint(app, count, arguments);
    if (text.empty()) text = escaped(error.what());
    return EndedByArguments{requested_format(count, arguments), kBadInput, text};
  }
  parsed.rounds.csv = parsed.format == "csv";
  const Format format = parsed.format == "json" ? Format::kJson : Format::kText;
  return Invocation{format, parsed.chosen()};
}

}  // namespace umbel::cli
