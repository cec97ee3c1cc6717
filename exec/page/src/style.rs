//! How a page looks.

/// The style of a page; colours come before it, and the style of pictures after it.
///
/// One column of text, as wide as is read with ease; figures as wide as the text, lineage and tables as wide as they need
/// to be. Words in the reader's own serif, numbers and pictures in their own sans, digits of equal width where they stand
/// below one another.
pub(crate) const PAGE: &str = "\
:root{--serif:'Iowan Old Style','Palatino Linotype','URW Palladio L','Book Antiqua',Palatino,Charter,Georgia,'Liberation Serif',serif;\
--sans:-apple-system,'Segoe UI',Roboto,'Noto Sans','Helvetica Neue','Liberation Sans',Arial,sans-serif;\
--mono:ui-monospace,'SF Mono',Menlo,Consolas,'Liberation Mono',monospace;color-scheme:light dark}\
*{box-sizing:border-box}\
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;background:var(--paper)}\
body{margin:0 auto;padding:clamp(1.25rem,5vw,4rem) 1.1rem 4rem;max-width:46rem;background:var(--paper);color:var(--ink);\
font:1.0625rem/1.6 var(--serif);overflow-wrap:break-word;hyphens:manual}\
h1{font-size:clamp(1.6rem,5vw,2.15rem);line-height:1.2;font-weight:600;letter-spacing:-.01em;margin:0 0 .35em;text-wrap:balance}\
h2{font-size:1.3rem;line-height:1.3;font-weight:600;margin:3rem 0 .6rem;text-wrap:balance}\
h3{font-size:1.05rem;font-weight:600;margin:1.8rem 0 .3rem}\
p{margin:0 0 1em;max-width:40rem;text-wrap:pretty}.lead{font-size:1.22rem;line-height:1.5;margin:.8em 0 1.2em}\
.subtitle{color:var(--dim);font:.9rem/1.5 var(--sans);margin:0 0 1.6rem}\
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.open{color:var(--dim)}\
strong{font-weight:600}code{font:.86em/1.4 var(--mono);overflow-wrap:anywhere}\
.mark,.arm{font-family:var(--sans);font-size:.94em}th .arm,td .arm,td .mark{white-space:nowrap}table .mark,table .arm,dl .mark,dl .arm{font-size:1em}\
.mark>svg,.arm>svg{width:.8em;height:.8em;vertical-align:-.06em;overflow:visible}\
.notice{border:1px solid currentColor;border-left-width:.35rem;border-radius:.3rem;padding:1rem 1.2rem .2rem;margin:1.4rem 0 1.8rem;background:var(--panel)}\
.notice>*{color:var(--ink)}.notice h2{margin:0 0 .4rem}.notice.bad h2{color:var(--bad)}.notice.good h2{color:var(--good)}\
dl{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.35rem 1.4rem;margin:1.2rem 0 1.6rem;font:.95rem/1.5 var(--sans)}\
dt{color:var(--dim)}dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\
figure{margin:1.6rem 0 2rem}figcaption{font:.88rem/1.5 var(--sans);color:var(--dim);margin-top:.5rem;max-width:40rem}\
figure svg{display:block;max-width:100%;height:auto}figure .narrow{display:none}\
figure.whole{--out:max(0px,min(50vw - 24rem,17rem));margin-left:calc(0px - var(--out));margin-right:calc(0px - var(--out))}figure.whole figcaption{margin-left:var(--out)}\
.scroll{overflow-x:auto;margin:1.2rem 0 1.8rem;background:linear-gradient(to right,var(--paper) 40%,transparent) 0 0/2.5rem 100% no-repeat local,linear-gradient(to left,var(--paper) 40%,transparent) 100% 0/2.5rem 100% no-repeat local,linear-gradient(to right,var(--rule),transparent) 0 0/.45rem 100% no-repeat scroll,linear-gradient(to left,var(--rule),transparent) 100% 0/.45rem 100% no-repeat scroll}\
.notice .scroll{background:none}figure .scroll{margin:0}.scroll svg.whole{max-width:none;margin:0 auto}\
.scroll:focus-visible{outline:2px solid var(--arm0);outline-offset:3px}\
table{border-collapse:collapse;width:100%;font:.88rem/1.45 var(--sans);font-variant-numeric:tabular-nums}\
caption{text-align:left;color:var(--dim);padding:0 0 .5rem;font-size:.88rem}\
th,td{text-align:left;vertical-align:baseline;padding:.34rem .9rem .34rem 0;border-bottom:1px solid var(--rule);overflow-wrap:break-word}.long{overflow-wrap:anywhere;min-width:8rem}table code{white-space:nowrap}.long code{white-space:normal}\
th:last-child,td:last-child{padding-right:0}thead th{color:var(--dim);font-weight:500;border-bottom:1px solid var(--dim);overflow-wrap:normal}\
tbody th{font-weight:500}.number{text-align:right;white-space:nowrap}\
pre{background:var(--panel);border-radius:.3rem;padding:.8rem 1rem;margin:.4rem 0 1.4rem;overflow-x:auto;font:.86rem/1.6 var(--mono);white-space:pre-wrap;overflow-wrap:anywhere}\
pre .dim{user-select:none}\
ul{padding-left:1.2rem;margin:0 0 1.2rem}li{margin:.2rem 0}\
footer{margin-top:4rem;padding-top:1rem;border-top:1px solid var(--rule);color:var(--dim);font:.85rem/1.55 var(--sans)}\
@media (max-width:40rem){figure .wide{display:none}figure .narrow{display:block}dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .6rem}\
th,td{padding-right:.6rem}.long{min-width:4.6rem}th.long:first-child{min-width:6.6rem}body{font-size:1rem}}\
@media print{figure.whole{--out:0px}body{max-width:none;padding:0;font-size:10.5pt}h2{break-after:avoid}figure,tr,.notice,pre{break-inside:avoid}\
figure .wide{display:block}figure .narrow{display:none}.scroll{overflow:visible;background:none}.scroll svg.whole{max-width:100%;height:auto}\
@page{margin:18mm 16mm}}";
