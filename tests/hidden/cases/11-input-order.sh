# The test split is the last rows of a file, whose rows have another order.
row=11 variable="order of the rows" layer=data named="input rows.csv"
prepare() { :; }
command="sh -c 'tail -n 2 rows.csv > test.csv; head -n 4 rows.csv | sort > train.csv'"
a() { printf '1\n2\n3\n4\n5\n6\n' > rows.csv; }
b() { printf '6\n1\n2\n3\n4\n5\n' > rows.csv; }
