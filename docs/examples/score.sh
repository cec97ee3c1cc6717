# How many of the test's rows lie nearest to the mean image of their digit.
awk -F, 'FNR == NR { for (i = 1; i < NF; i++) mean[$1, i] = $(i + 1); next }
    { for (digit = 0; digit < 10; digit++) {
        far = 0
        for (i = 1; i < NF; i++) far += ($i - mean[digit, i]) ^ 2
        if (digit == 0 || far < least) { found = digit; least = far } }
      right += found == $NF }
    END { printf "{\"accuracy\": %.4f}\n", right / FNR }' means.csv test.csv > metrics.json
