# A loader falls back where it may open few files.
row=47 variable="limits" layer=place named="limit open files"
prepare() { :; }
command="sh -c 'if [ \$(ulimit -n) -lt 200 ]; then echo one by one; else echo all at once; fi > order.txt'"
in_a() { (ulimit -n 150; "$@"); }
in_b() { (ulimit -n 250; "$@"); }
