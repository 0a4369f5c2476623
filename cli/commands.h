#pragma once

#include "options.h"
#include "output.h"

namespace umbel::cli {

// One function a command, in the file of its name.  Each says everything through `output` and
// returns the program's exit code.
int run_new(const NewOptions& options, const Output& output);
int run_port(const PortOptions& options, const Output& output);
int run_build(const BuildOptions& options, const Output& output);
int run_run(const RunOptions& options, const Output& output);
int run_ls(const LsOptions& options, const Output& output);
int run_rounds(const RoundsOptions& options, const Output& output);
int run_log(const LogOptions& options, const Output& output);
int run_stop(const StopOptions& options, const Output& output);
int run_pull(const PullOptions& options, const Output& output);
int run_report(const ReportOptions& options, const Output& output);
int run_link(const LinkOptions& options, const Output& output);
int run_key(const KeyOptions& options, const Output& output);
int run_supernode(const SupernodeOptions& options, const Output& output);
int run_account(const AccountOptions& options, const Output& output);
int run_up(const UpOptions& options, const Output& output);
int run_down(const DownOptions& options, const Output& output);
int run_plan(const PlanOptions& options, const Output& output);
int run_data(const DataOptions& options, const Output& output);
int run_doctor(const DoctorOptions& options, const Output& output);

}  // namespace umbel::cli
