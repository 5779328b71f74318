"""The report page's style sheet; colours are chosen to differ in brightness as well as in hue."""

STYLE = """
:root{--bg:#fbfbfa;--card:#fff;--text:#1d2126;--soft:#5d6670;--line:#e1e4e8;--grid:#e8eaed;--accent:#0b6bcb;
--run0:#a3abb5;--run1:#6aaee6;--run2:#1565b3;--run3:#e8833a;--run4:#8a5cc2;
--busy:#1f8a70;--stallin:#f2b544;--stallout:#b46bc4;--zero:#d3d8de;--nonoutlier:#3f8fd6;--outlier:#d9483b;
--ok:#1a7f4e;--bad:#c62828}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1c2026;--text:#e6e9ed;--soft:#9ba5b0;--line:#30363d;
--grid:#2a3037;--accent:#6cb4ff;--run0:#6b747e;--run1:#3d7fb8;--run2:#7cc0ff;--run3:#f39a55;--run4:#b795e6;
--busy:#3fb594;--stallin:#e0a93c;--stallout:#c58bd3;--zero:#4a525b;--nonoutlier:#5aa5e8;--outlier:#ee6a5e;
--ok:#5cc98f;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1320px;margin:0 auto;padding:24px 20px 56px}
header p{margin:0;color:var(--soft);font-size:14px;letter-spacing:.04em}
h1{margin:0 0 20px;font-size:28px;line-height:1.2;font-weight:650}
h2{margin:28px 0 8px;font-size:18px;font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tiles b{display:block;font-size:26px;line-height:1.2;font-weight:650;color:var(--accent)}
.tiles span{color:var(--soft);font-size:13.5px;line-height:1.35;display:block}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:7px 6px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
thead th{font-weight:550;color:var(--soft);line-height:1.2;padding-bottom:4px}
thead tr:first-child th{border-bottom:0}thead th[colspan]:not([colspan="1"]){text-align:center;color:var(--text)}
tbody th,thead th:first-child{text-align:left;position:sticky;left:0;background:var(--card);font-weight:600}
td:nth-child(2),thead th:nth-child(2){text-align:left}
tr.total td,tr.total th{border-bottom:0;border-top:2px solid var(--line);font-weight:650}
.note{color:var(--soft);font-size:13.5px;margin:8px 2px}
.plots{columns:3;column-gap:16px;margin-top:24px}
figure{margin:0 0 16px;break-inside:avoid;background:var(--card);
border:1px solid var(--line);border-radius:10px;padding:14px 16px}
figure h2{margin:0}
figure p{margin:2px 0 8px;color:var(--soft);font-size:13.5px}
svg{display:block;width:100%;height:auto;max-width:520px}
svg text{font-size:12px;fill:var(--text)}
svg .name{text-anchor:end}
svg .value{fill:var(--soft);font-size:11px}
svg .tick{text-anchor:middle;fill:var(--soft);font-size:11px}
svg .grid{stroke:var(--grid);stroke-width:1}
svg .mark{stroke:var(--text);stroke-width:2}
.legend span{display:inline-block;margin-right:14px;white-space:nowrap}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px;vertical-align:-1px}
.legend .markkey{width:2px;border-radius:0;background:var(--text);margin-right:7px}
.run0{fill:var(--run0);background:var(--run0)}.run1{fill:var(--run1);background:var(--run1)}
.run2{fill:var(--run2);background:var(--run2)}.run3{fill:var(--run3);background:var(--run3)}.run4{fill:var(--run4);background:var(--run4)}
.busy{fill:var(--busy);background:var(--busy)}.stallin{fill:var(--stallin);background:var(--stallin)}
.stallout{fill:var(--stallout);background:var(--stallout)}.zero{fill:var(--zero);background:var(--zero)}
.nonoutlier{fill:var(--nonoutlier);background:var(--nonoutlier)}.outlier{fill:var(--outlier);background:var(--outlier)}
dl{display:grid;grid-template-columns:minmax(120px,190px) 1fr;gap:6px 16px;margin:0;font-size:14.5px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
ul{list-style:none;margin:0;padding:0;font-size:14.5px}
li.ok{color:var(--ok)}li.bad{color:var(--bad);font-weight:650}
@media (max-width:1100px){.plots{columns:2}}@media (max-width:720px){.plots{columns:1}}
@media (max-width:560px){main{padding:16px 12px 40px}h1{font-size:23px}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}
.tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:8px}.tiles b{font-size:22px}figure{padding:12px 10px}}
"""
