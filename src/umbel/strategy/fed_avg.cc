#include "umbel/strategy/fed_avg.h"

namespace umbel {

Strategy fed_avg(const FedAvgOptions& options) { return strategy_with("fed-avg", options); }

}  // namespace umbel
