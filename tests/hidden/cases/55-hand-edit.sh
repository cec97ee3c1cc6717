# Somebody mended a row of an intermediate file in an editor.
row=55 variable="hand edit" layer=data named="input clean.csv"
prepare() { :; }
command="sh -c 'cut -d, -f2 clean.csv | sort -n | tail -n 1 > max.txt'"
a() { printf 'a,1\nb,200\n' > clean.csv; }
b() { printf 'a,1\nb,20\n' > clean.csv; }
