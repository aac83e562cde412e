/** How the page looks: one column of text, plots two beside each other, everything narrow enough for a phone. */
export const PAGE_CSS = `
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:2rem 1.25rem 4rem;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0 0 .25rem}
h2{font-size:1.2rem;margin:3rem 0 .5rem}
h3{font-size:1rem;margin:2rem 0 .5rem}
p{max-width:46rem;margin:.5rem 0}
.read,figcaption{color:var(--muted);font-size:.87rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:1rem 0}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
code{font:.92em ui-monospace,monospace}
.warning{background:var(--warn);border-left:4px solid var(--warn-line);padding:.6rem .9rem;border-radius:4px}
.swatch{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.45em}
.sides{display:flex;gap:1.25rem;font-size:.87rem;margin:.25rem 0}
.sides i.due{background:none;border-top:2px dashed var(--ink);width:1.6em;height:0;vertical-align:.25em;border-radius:0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.87rem}
th,td{padding:.3rem .55rem;text-align:right;vertical-align:baseline;font-weight:normal}
th:first-child,caption{text-align:left}
thead th,.labels th{color:var(--muted);vertical-align:bottom}
b{font-weight:600}
td b{white-space:nowrap}
small{font-size:.8rem;color:var(--muted);white-space:nowrap}
.none{color:var(--muted)}
.headline{width:100%;margin:1rem 0}
.headline small{display:block}
.headline th[scope=row]{white-space:nowrap}
.headline .scenario th{font-weight:600;padding-top:1rem;border-bottom:1px solid var(--line);text-align:left}
.headline .labels{display:none}
.change{background:var(--soft)}
.pair{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,30rem),1fr));gap:1.5rem 2rem}
.pair>*{min-width:0}
figure{margin:0}
figcaption{margin-top:.35rem}
svg{display:block;width:100%;height:auto}
.narrow{display:none}
.cpu{width:100%;align-self:start;font-size:.82rem}
.cpu th,.cpu td{padding:.22rem .35rem}
.cpu small{font-size:.9em}
.cpu caption{font-weight:600;font-size:.87rem;padding:.3rem .35rem}
.cpu thead tr,.cpu .sum{border-bottom:1px solid var(--line)}
.cpu .sum{border-top:1px solid var(--line)}
.cpu .outside{color:var(--muted)}
@media (max-width:44rem){
.wide{display:none}
.narrow{display:block;max-width:30rem}
}
@media (max-width:70rem){
.headline,.headline tbody{display:grid}
.headline{grid-template-columns:minmax(0,1fr)}
.headline thead{display:none}
.headline tbody{grid-template-columns:minmax(0,1fr) repeat(calc(var(--columns) - 1),auto);grid-template-rows:repeat(var(--rows),auto);grid-auto-flow:column}
.headline tr,.headline .labels{display:contents}
.headline .scenario th{grid-column:1/-1}
.headline .labels th{text-align:left}
.headline tr:not(.scenario)>*{border-bottom:1px solid var(--line)}
.headline tr:not(.scenario)>:first-child{color:var(--muted);text-align:right}
.headline .change>*{background:var(--soft)}
}
@media (max-width:30rem){
body{padding:1rem .75rem 3rem}
dl{grid-template-columns:1fr}
dd{margin-bottom:.4rem}
.cpu small{display:block}
small,.cpu small{font-size:.7rem}
th,td,.cpu th,.cpu td{padding:.25rem}
}
@media print{body{max-width:none}figure,tbody{break-inside:avoid}}
`;
