/** The style of the page: light and dark by what the reader's system asks for, one column on a phone, nothing from elsewhere. */

/**
 * Text has a contrast of at least 4.5 on its background and marks at least 3, in both schemes; page.test.ts computes it from
 * these very declarations.
 */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2024; --quiet: #5b6470; --line: #d5dae0; --shade: #f3f5f7;
  --good: #1a7f37; --bad: #c01c28; --warn: #8a5a00;
  --c0: #2563b8; --c1: #c2410c; --c2: #15803d; --c3: #a21caf; --c4: #8a6d00;
  --c5: #0e7490; --c6: #be123c; --c7: #6d28d9; --c8: #4d5b6b; --c9: #7a4b24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e6e9ec; --quiet: #a0a9b3; --line: #3a424b; --shade: #1e2328;
    --good: #56c271; --bad: #ff7b80; --warn: #e0b050;
    --c0: #79aefc; --c1: #ff9b63; --c2: #5fd18a; --c3: #e28bf0; --c4: #e3c44f;
    --c5: #4fcadf; --c6: #ff8aa3; --c7: #b79cff; --c8: #a9b5c2; --c9: #d9a679;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 82rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
a { color: var(--c0); } code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; background: var(--shade); padding: .6rem; }
p.quiet, .manifest, figcaption { color: var(--quiet); font-size: .85rem; margin: .3rem 0; }
nav a { margin-right: .9rem; white-space: nowrap; }
figure { margin: .6rem 0 1.4rem; }
.wide { overflow-x: auto; border: 1px solid var(--line); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .22rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; white-space: normal; min-width: 5.5rem; background: var(--shade); }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); font-weight: normal; }
thead th:first-child { background: var(--shade); }
tr.family th { font-weight: bold; background: var(--shade); }
td.pass { color: var(--good); } td.fail { color: var(--bad); font-weight: bold; } td.declared { color: var(--warn); }
td.untested, td.na { color: var(--quiet); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 335px), 1fr)); gap: .6rem; }
.charts svg { max-width: 100%; height: auto; display: block; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0; font-size: .85rem; }
.key i { display: inline-block; width: 1.6em; height: 0; border-top: 3px solid; vertical-align: middle; margin-right: .4em; }
.key i.dashed { border-top-style: dashed; }
details { margin: .3rem 0; } summary { cursor: pointer; }
@media (max-width: 40rem) {
  body { padding: .6rem; font-size: 14px; } th, td { padding: .2rem .4rem; }
  .wide th:first-child { white-space: normal; min-width: 8.5rem; max-width: 40vw; }
}
@media print { .wide { overflow: visible; } nav { display: none; } }
`
