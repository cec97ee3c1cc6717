# Rows of the training data came into the test data.
row=58 variable="train/test overlap" layer=data named="input test.csv"
prepare() { seq 1 20 > train.csv; }
command="sh -c 'grep -cxFf train.csv test.csv > hits.txt || true'"
a() { seq 30 40 > test.csv; }
b() { seq 15 40 > test.csv; }
