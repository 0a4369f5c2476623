#include "doctor_subject.h"

namespace umbel::cli {

namespace {

using Names = SettingNames;

const Names kRate = {"learning-rate", "local-learning-rate", "client-learning-rate", "lr"};
const Names kServerRate = {"server-learning-rate"};
const Names kEpochs = {"local-epochs", "epochs"};
const Names kAlpha = {"dirichlet-alpha", "dirichlet_alpha"};

template <class Wrong>
void check_number(const Subject& subject, Findings& findings, const Names& names, Wrong wrong) {
  if (!subject.app) return;
  const auto value = subject.app->number(names);
  if (!value || !wrong(*value)) return;
  const Setting& setting = *subject.app->setting(names);
  findings.add(setting.origin, fmt::format("{} = {}", setting.key, setting.value.text()));
}

void no_rate(const Subject& subject, Findings& findings) {
  for (const Names& names : {kRate, kServerRate}) {
    check_number(subject, findings, names, [](double rate) { return rate <= 0; });
  }
}

void large_rate(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kRate, [](double rate) { return rate > 1; });
}

void small_rate(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kRate, [](double rate) { return rate > 0 && rate < 1e-6; });
}

void large_server_rate(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kServerRate, [](double rate) { return rate > 10; });
}

void many_epochs(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kEpochs, [](double epochs) { return epochs > 20; });
}

void drift(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const auto epochs = subject.app->number(kEpochs), alpha = subject.app->number(kAlpha);
  const bool corrected = subject.app->number({"proximal-mu", "mu"}).value_or(0) > 0 ||
                         subject.app->code_has("fed_prox");
  if (!epochs || !alpha || *epochs <= 5 || *epochs > 20 || *alpha <= 0 || *alpha >= 0.5 ||
      corrected) {
    return;
  }
  findings.add(subject.app->setting(kEpochs)->origin,
               fmt::format("{} local epochs on a split of alpha {}", *epochs, *alpha));
}

void no_alpha(const Subject& subject, Findings& findings) {
  check_number(subject, findings, kAlpha, [](double alpha) { return alpha <= 0; });
}

void tiny_alpha(const Subject& subject, Findings& findings) {
  if (!subject.app) return;
  const int64_t nodes = subject.app->nodes();
  const auto alpha = subject.app->number(kAlpha);
  if (!alpha || *alpha <= 0 || *alpha >= 0.1 || nodes >= 50 || nodes < 2) return;
  findings.add(subject.app->setting(kAlpha)->origin,
               fmt::format("alpha {} over {} clients", *alpha, nodes));
}

void momentum(const Subject& subject, Findings& findings) {
  for (const Names& names : {Names{"momentum"}, Names{"server-momentum"}, Names{"beta"},
                             Names{"beta-1"}, Names{"beta-2"}}) {
    check_number(subject, findings, names, [](double beta) { return !(beta >= 0 && beta < 1); });
  }
}

void proximal(const Subject& subject, Findings& findings) {
  check_number(subject, findings, {"proximal-mu", "mu"},
               [](double mu) { return mu < 0 || mu > 10; });
}

void batch_of_one(const Subject& subject, Findings& findings) {
  check_number(subject, findings, {"batch-size"}, [](double batch) { return batch == 1; });
}

}  // namespace

std::vector<Rule<Subject>> training_rules() {
  return {
      {"D019", Severity::kError, "a learning rate that learns nothing",
       "a learning rate is above 0; 0.05 is a start for SGD, 0.001 for Adam", no_rate},
      {"D020", Severity::kWarning, "the learning rate is very large",
       "try 0.1 or less: above 1 nearly every network diverges", large_rate},
      {"D021", Severity::kWarning, "the learning rate is very small",
       "try 0.01 or more: with less than 0.000001 the model stays as it began", small_rate},
      {"D022", Severity::kWarning, "clients train for very long between rounds",
       "lower local-epochs to 1 to 5 and raise rounds: clients run away from each other",
       many_epochs},
      {"D023", Severity::kHint, "many local epochs on a skewed split",
       "lower local-epochs, or use fed_prox with proximal_mu 0.01 to 1, against client drift",
       drift},
      {"D024", Severity::kError, "a Dirichlet split needs an alpha above 0",
       "set dirichlet-alpha to 0.1 (very skewed) to 100 (nearly even)", no_alpha},
      {"D025", Severity::kWarning, "so small an alpha with so few clients",
       "raise dirichlet-alpha or nodes: most clients have one label, some have next to no examples",
       tiny_alpha},
      {"D029", Severity::kError, "a momentum is not from 0 to below 1", "0.9 is usual; 0 is none",
       momentum},
      {"D030", Severity::kWarning, "the proximal term is out of its useful range",
       "proximal-mu is 0.001 to 1 in practice: below 0 it drives clients away, far above 1 it "
       "stops "
       "them",
       proximal},
      {"D049", Severity::kHint, "batches of one example",
       "raise batch-size to 10 to 50: single examples are slow and noisy", batch_of_one},
      {"D057", Severity::kWarning, "the server's learning rate is very large",
       "1 is plain averaging; adaptive optimizers take 0.001 to 0.1", large_server_rate},
  };
}

}  // namespace umbel::cli
