# A variable of the project's own.
row=39 variable="any other variable" layer=environment named=EVAL_LIMIT
prepare() { seq 1 100 > scores.txt; }
command="sh -c 'head -n \$EVAL_LIMIT scores.txt | awk \"{s += \\\$1} END {print s / NR}\" > mean.txt'"
flags_a="--env EVAL_LIMIT=50"
flags_b="--env EVAL_LIMIT=100"
