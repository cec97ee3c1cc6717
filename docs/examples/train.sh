# The mean image of each digit among these rows.
awk -F, '{ rows[$NF]++; for (i = 1; i < NF; i++) sum[$NF, i] += $i }
    END { for (digit = 0; digit < 10; digit++) {
        printf "%d", digit
        for (i = 1; i < NF; i++) printf ",%.4f", sum[digit, i] / rows[digit]
        print "" } }' "$@" > means.csv
