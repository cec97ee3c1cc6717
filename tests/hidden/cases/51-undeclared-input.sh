# A list of stop words lies outside of the project, and nobody thinks of it.
row=51 variable="undeclared input" layer=data named="stop.txt"
prepare() { mkdir -p ../refs; echo "the cat and the dog" > text.txt; }
command="sh -c 'tr \" \" \"\\n\" < text.txt | grep -vxFf ../refs/stop.txt > words.txt'"
a() { printf 'the\n' > ../refs/stop.txt; }
b() { printf 'the\nand\n' > ../refs/stop.txt; }
