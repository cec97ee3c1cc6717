# A tool reads its settings from the home folder.
row=42 variable="home folder" layer="environment system" named="HOME|~/.toolrc"
prepare() { mkdir -p ../one ../two; echo 0.5 > ../one/.toolrc; echo 0.7 > ../two/.toolrc; }
command="sh -c 'cat \$HOME/.toolrc > threshold.txt'"
in_a() { HOME="${PWD%/*}/one" "$@"; }
in_b() { HOME="${PWD%/*}/two" "$@"; }
