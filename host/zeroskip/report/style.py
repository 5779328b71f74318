"""The report page's style sheet; colours are chosen to differ in brightness as well as in hue."""

STYLE = """
:root{--bg:#fbfbfa;--card:#fff;--text:#1d2126;--soft:#5d6670;--line:#e1e4e8;--track:#f1f2f4;--accent:#0b6bcb;
--run0:#a3abb5;--run1:#6aaee6;--run2:#1565b3;--run3:#e8833a;--run4:#8a5cc2;
--useful:#1f8a70;--dead:#c3c9d0;--input:#f2b544;--output:#b46bc4;--zero:#c3c9d0;--nonoutlier:#3f8fd6;--outlier:#d9483b;
--ok:#1a7f4e;--bad:#c62828}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1c2026;--text:#e6e9ed;--soft:#9ba5b0;--line:#30363d;
--track:#252a31;--accent:#6cb4ff;--run0:#6b747e;--run1:#3d7fb8;--run2:#7cc0ff;--run3:#f39a55;--run4:#b795e6;
--useful:#3fb594;--dead:#5a636d;--input:#e0a93c;--output:#c58bd3;--zero:#5a636d;--nonoutlier:#5aa5e8;--outlier:#ee6a5e;
--ok:#5cc98f;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1320px;margin:0 auto;padding:24px 20px 56px}
header p{margin:0;color:var(--soft);font-size:14px;letter-spacing:.04em}
h1{margin:0 0 20px;font-size:28px;line-height:1.2;font-weight:650;overflow-wrap:anywhere}
h2{margin:32px 0 4px;font-size:19px;font-weight:600}
h3{margin:20px 0 8px;font-size:15px;font-weight:600}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tiles b{display:block;font-size:26px;line-height:1.2;font-weight:650;color:var(--accent)}
.tiles span{color:var(--soft);font-size:13.5px;line-height:1.35;display:block}
.note{color:var(--soft);font-size:14px;margin:0 0 8px;max-width:900px}
.legend{margin:0 0 8px;font-size:13.5px}
.legend span{display:inline-block;margin-right:14px;white-space:nowrap}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px;vertical-align:-1px}
.legend .mark{width:2px;border-radius:0;background:var(--text);margin-right:7px}
.scroll{overflow:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:5px 7px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
thead th{font-weight:550;color:var(--soft);line-height:1.2;background:var(--card)}
thead tr:first-child th{border-bottom:0;padding:8px 7px 2px}thead tr:last-child th{padding:0 7px 5px;font-weight:400}
thead th[colspan]{color:var(--text)}thead th[colspan]:not([colspan="1"]){text-align:center}
tbody th{font-weight:600;max-width:300px;overflow:hidden;text-overflow:ellipsis;line-height:1.25}
small{display:block;font-size:12px;font-weight:400;color:var(--soft)}wbr{display:none}
tbody th,thead th:first-child{text-align:left;position:sticky;left:0;background:var(--card);z-index:1}
td.left,th.left,td.plot,th.plot{text-align:left}.plot{width:40%}
#weights td:last-child{white-space:normal;min-width:250px;font-size:12px;line-height:1.25}
tbody tr:last-child>*{border-bottom:0}
tr.total>*{border-top:2px solid var(--line);font-weight:650}
.bar{position:relative;display:flex;height:12px;min-width:150px;background:var(--track)}
.bar i{display:block;height:100%}
.bar b{position:absolute;top:-2px;bottom:-2px;width:2px;margin-left:-1px;background:var(--text)}
.bar .beyond{right:-7px;width:0;background:none;border:6px solid transparent;border-left:6px solid var(--text);
top:50%;bottom:auto;margin-top:-6px}
.stack{display:grid;gap:2px}.stack .bar:not(:only-child){height:7px}
.hist{display:flex;align-items:flex-end;gap:1px;height:26px;width:112px;border-bottom:1px solid var(--soft)}
.hist i{flex:1;min-width:1px}
.run0{background:var(--run0)}.run1{background:var(--run1)}.run2{background:var(--run2)}.run3{background:var(--run3)}
.run4{background:var(--run4)}.useful{background:var(--useful)}.dead{background:var(--dead)}
.input{background:var(--input)}.output{background:var(--output)}
.zero{background:var(--zero)}.nonoutlier{background:var(--nonoutlier)}.outlier{background:var(--outlier)}
summary{cursor:pointer;margin:0 0 8px;color:var(--accent);font-size:14.5px}
dl{display:grid;grid-template-columns:minmax(120px,190px) 1fr;gap:6px 16px;margin:8px 0 0;font-size:14.5px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
ul{list-style:none;margin:8px 0 0;padding:0;font-size:14.5px}
li.ok{color:var(--ok)}li.bad{color:var(--bad);font-weight:650}
@media (min-width:720px) and (min-height:600px){.scroll{max-height:88vh}thead{position:sticky;top:0;z-index:2}}
@media (max-width:560px){main{padding:16px 12px 40px}h1{font-size:23px}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}small{display:none}wbr{display:inline}th,td{padding:5px 6px}
tbody th{min-width:132px;max-width:132px;white-space:normal;overflow-wrap:break-word;font-size:12.5px}
#graph tbody th{min-width:0}
.bar{min-width:112px}.tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:8px}.tiles b{font-size:22px}}
@media print{.scroll{max-height:none;overflow:visible}}
"""
