/* Sums sines: the C library's arithmetic, and a file in and out. */
#include <math.h>
#include <stdio.h>

int main(void) {
    double sum = 0, x;
    FILE *in = fopen("data/numbers", "r");
    if (!in) return 1;
    while (fscanf(in, "%lf", &x) == 1) sum += sin(x);
    fclose(in);
    FILE *out = fopen("sum.txt", "w");
    if (!out) return 1;
    fprintf(out, "%.17g\n", sum);
    return fclose(out) != 0;
}
