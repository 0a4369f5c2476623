#include "doctor_subject.h"

namespace umbel::cli {

namespace {

using Names = SettingNames;

const Names kNoise = {"dp-noise-multiplier", "noise-multiplier"};
const Names kClip = {"dp-clip-norm", "dp-clip", "clip-norm", "clipping-norm", "max-grad-norm"};
const Names kDelta = {"dp-delta"};
const Names kEpsilon = {"dp-epsilon"};

void add(const Subject& subject, Findings& findings, const Names& names, std::string_view more) {
  const Setting& setting = *subject.app->setting(names);
  findings.add(setting.origin, fmt::format("{} = {}{}", setting.key, setting.value.text(), more));
}

void no_clip(const Subject& subject, Findings& findings) {
  if (!subject.app || !subject.app->number(kNoise)) return;
  const auto clip = subject.app->number(kClip);
  if (!clip) {
    add(subject, findings, kNoise, " and no dp-clip-norm");
  } else if (*clip <= 0) {
    add(subject, findings, kClip, "");
  }
}

void low_noise(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const auto noise = subject.app->number(kNoise);
  if (noise && *noise < 0.3) add(subject, findings, kNoise, "");
}

void delta(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const auto value = subject.app->number(kDelta);
  const auto nodes = static_cast<double>(subject.app->nodes());
  if (!value || nodes < 1 || (*value > 0 && *value < 1 / nodes)) return;
  add(subject, findings, kDelta, fmt::format(", with {} clients", nodes));
}

void epsilon(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const auto value = subject.app->number(kEpsilon);
  if (value && (*value > 10 || *value <= 0)) add(subject, findings, kEpsilon, "");
}

}  // namespace

std::vector<Rule<Subject>> privacy_rules() {
  return {
      {"D035", Severity::kError, "noise without a bound on what one client adds",
       "set dp-clip-norm above 0: noise protects only what is clipped", no_clip},
      {"D036", Severity::kWarning, "the noise is too low to protect",
       "raise dp-noise-multiplier to 0.5 or more; 1 is usual", low_noise},
      {"D037", Severity::kWarning, "delta is not below one in the number of clients",
       "set dp-delta well below 1 / nodes: else to give away one client whole would be allowed",
       delta},
      {"D038", Severity::kWarning, "the privacy budget promises next to nothing",
       "dp-epsilon of 1 to 8 is what is called private; above 10 it is not", epsilon},
  };
}

}  // namespace umbel::cli
