#pragma once

#include <string>

namespace umbel::cli {

// "Intel(R) Xeon(R) CPU, 2 processors, 23.5 GiB memory, Linux 6.1.0 (host)": for the report.
std::string describe_machine();

}  // namespace umbel::cli
