# What counts as a character goes by the locale.
row=40 variable="locale" layer=environment named=LC_ALL
prepare() { printf 'na\303\257ve caf\303\251\n' > text.txt; }
command="sh -c 'wc -m < text.txt > characters.txt'"
in_a() { LC_ALL=C "$@"; }
in_b() { LC_ALL=C.UTF-8 "$@"; }
