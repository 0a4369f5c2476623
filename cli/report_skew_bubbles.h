#pragma once

#include <string>
#include <vector>

namespace umbel::cli {

// One client's examples: how many, and of them each label's share.
struct ClientLabels {
  std::string name;
  double examples = 0;
  std::vector<double> shares;  // of each label, the same labels everywhere
};

inline constexpr size_t kBubbleLabelsMax = 40;

// A picture of clients by labels: a disc's area is the number of examples.  The first
// kBubbleLabelsMax labels are drawn; "" if there is nothing to draw.
std::string label_bubbles(const std::vector<ClientLabels>& clients);

}  // namespace umbel::cli
