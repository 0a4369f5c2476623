#include "report_style.h"

namespace umbel::cli {

const char* const kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f7f7f5; --card: #ffffff; --ink: #1d2129; --soft: #667080; --rule: #e3e4e1;
  --good: #1a7f4b; --bad: #b3362b; --wait: #8a6412;
  --k0: #2f6fb5; --k1: #d9822b; --k2: #3a9a5f; --k3: #b5486b; --k4: #7a5fb8;
  --k5: #2b9aa3; --k6: #a3862b; --k7: #8a8f98; --k8: #d1605a; --k9: #56738f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --card: #1c2027; --ink: #e6e8ec; --soft: #97a0ae; --rule: #2e343d;
    --good: #55c08a; --bad: #ef7d72; --wait: #d9b45b;
    --k0: #6ba6e8; --k1: #f0a45d; --k2: #66c48c; --k3: #e07d9e; --k4: #a991e3;
    --k5: #5cc6cf; --k6: #cdb25c; --k7: #a9aeb7; --k8: #ee8d87; --k9: #8aa8c6;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h1 small { font-size: 16px; font-weight: 400; color: var(--soft); margin-left: 8px; }
h2 { font-size: 18px; margin: 44px 0 12px; }
p { margin: 6px 0; max-width: 76ch; }
.soft { color: var(--soft); }
.head { display: flex; align-items: baseline; gap: 14px; flex-wrap: wrap; }
.pill { font-size: 13px; font-weight: 600; padding: 1px 10px; border-radius: 99px;
  border: 1px solid currentColor; }
.completed { color: var(--good); } .failed { color: var(--bad); }
.stopped, .running { color: var(--wait); }
.error { border-left: 3px solid var(--bad); padding: 8px 14px; margin: 16px 0;
  background: var(--card); white-space: pre-wrap; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; margin: 24px 0 0; }
@media (max-width: 760px) { .tiles { grid-template-columns: repeat(2, 1fr); } }
.tile, figure, .card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
.tile { padding: 12px 16px; }
.tile b { display: block; font-size: 22px; font-weight: 600; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr));
  gap: 16px; align-items: start; }
figure { margin: 0; padding: 14px 16px 10px; }
figcaption { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline;
  font-size: 14px; margin-bottom: 6px; }
figcaption b { font-weight: 600; margin-right: auto; }
svg { display: block; width: 100%; height: auto; }
/* A legend moves below its title as a whole: no entry stands alone. */
.keys { display: inline-flex; flex-wrap: wrap; gap: 2px 12px; }
.key { font-size: 12.5px; color: var(--soft); white-space: nowrap; }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; }
.grid { stroke: var(--rule); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.card { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, .words th, .words td { text-align: left; }
th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--rule); }
tbody tr + tr td { border-top: 1px solid var(--rule); }
.left, td.note { text-align: left; }
td.note { white-space: normal; min-width: 9em; }
.words td:last-child { white-space: normal; overflow-wrap: anywhere; }
details.card > summary { padding: 10px 16px; cursor: pointer; font-size: 14px; }
code { font: 12.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
footer { margin-top: 48px; color: var(--soft); font-size: 13px; }
.s0 { stroke: var(--k0); } .s1 { stroke: var(--k1); } .s2 { stroke: var(--k2); }
.s3 { stroke: var(--k3); } .s4 { stroke: var(--k4); }
.f0 { fill: var(--k0); } .f1 { fill: var(--k1); } .f2 { fill: var(--k2); }
.f3 { fill: var(--k3); } .f4 { fill: var(--k4); } .f5 { fill: var(--k5); }
.f6 { fill: var(--k6); } .f7 { fill: var(--k7); } .f8 { fill: var(--k8); }
.f9 { fill: var(--k9); }
.b0 { background: var(--k0); } .b1 { background: var(--k1); } .b2 { background: var(--k2); }
.b3 { background: var(--k3); } .b4 { background: var(--k4); } .b5 { background: var(--k5); }
.b6 { background: var(--k6); } .b7 { background: var(--k7); } .b8 { background: var(--k8); }
.b9 { background: var(--k9); }
@media print { body { background: none; } main { padding: 0; } }
)css";

}  // namespace umbel::cli
