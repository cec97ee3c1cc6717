// docs/arithmetic.md once more, in another language and one number at a time.
//
// Prints a line per family of the known-answer battery (exec/arithmetic/src/battery.rs), which has
// the same inputs: its name and the FNV-1a hash of its results. It was written from the page and
// shares no code with the crate; transcription.rs compares what it prints with known.in. Nothing
// here is fast, and nothing is contracted: compile with -ffp-contract=off.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>
using namespace std;
typedef vector<float> V;

static float number(uint32_t u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static uint32_t bits(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
static float polynomial(const vector<uint32_t>& c, float x) {
    float p = number(c.back());
    for (int i = (int)c.size() - 2; i >= 0; i--)
        p = fmaf(p, x, number(c[i]));
    return p;
}
static float power_of_two(int e) {
    return number((uint32_t)((e + 127) << 23));
}
static int clamp_exponent(int x) {
    return x < -75 ? -75 : x > 64 ? 64 : x;
}
float exp_(float x) {
    float L = number(0x3fb8aa3b), H = number(0x3f317200), W = number(0x35bfbe8e),
          R = number(0x4b400000);
    x = x > 89.f ? 89.f : x;
    x = x < -104.f ? -104.f : x;
    float t = fmaf(x, L, R), k = t - R;
    float r = fmaf(k, -H, x);
    r = fmaf(k, -W, r);
    float p = polynomial({0x3efffffe, 0x3e2aaa49, 0x3d2aac58, 0x3c091cc5, 0x3ab526b8}, r);
    float y = 1.f + fmaf(r * r, p, r);
    int n = (int)(bits(t) - bits(R));
    int h = n >> 1;
    y = y * power_of_two(clamp_exponent(h));
    return y * power_of_two(clamp_exponent((int)((uint32_t)n - (uint32_t)h)));
}
float log_(float x) {
    float H = number(0x3f317200), W = number(0x35bfbe8e);
    bool s = x < number(0x800000);
    float z = s ? x * number(0x4b000000) : x;
    int b = (int)(bits(z) - 0x3f3504f3u);
    float k = (float)((b >> 23) - (s ? 23 : 0));
    float f = number((uint32_t)((b & 0x7fffff) + 0x3f3504f3)) - 1.f;
    float q = f * f;
    float p = polynomial({0x3eaaaaaa, 0xbe800113, 0x3e4cd00f, 0xbe2a3946, 0x3e116c7c, 0xbe06c0fb,
                          0x3e02b01b, 0xbd9c6789},
                         f);
    float t = (p * f) * q;
    t = fmaf(k, W, t);
    t = fmaf(-.5f, q, t);
    float y = fmaf(k, H, f + t);
    y = x > number(0x7f7fffff) ? x : y;
    y = x == 0.f ? -INFINITY : y;
    return x >= 0.f ? y : NAN;
}
float tanh_(float x) {
    float a = number(bits(x) & 0x7fffffff), q = x * x;
    float n =
        fmaf(q * x, polynomial({0xbeaaaa99, 0x3e08837d, 0xbd5c1b3e, 0x3ca8ffe7, 0xbbba98a9}, q), x);
    float f = 1.f - 2.f / (exp_(a + a) + 1.f);
    return a < .625f ? n : number((bits(f) & 0x7fffffff) | (bits(x) & 0x80000000));
}
float sigmoid(float x) {
    float e = exp_(-number(bits(x) & 0x7fffffff));
    return (x < 0.f ? e : 1.f) / (1.f + e);
}
float gelu(float x) {
    float w = x * fmaf(number(0x3d922279), x * x, number(0x3fcc422a));
    return x * sigmoid(w);
}
float gelu_slope(float x) {
    float q = x * x;
    float s = sigmoid(x * fmaf(number(0x3d922279), q, number(0x3fcc422a)));
    float i = fmaf(number(0x3e5b33b6), q, number(0x3fcc422a));
    float bend = s * (1.f - s);
    float bent = bend == 0.f ? 0.f : (x * i) * bend;
    return s + bent;
}
float value(int f, float x) {
    switch (f) {
        case 0:
            return exp_(x);
        case 1:
            return log_(x);
        case 2:
            return tanh_(x);
        case 3:
            return sigmoid(x);
        case 4:
            return gelu(x);
        case 5:
            return x * sigmoid(x);
        default:
            return x <= 0.f ? 0.f : x;
    }
}
float slope(int f, float x, float y) {
    switch (f) {
        case 0:
            return y;
        case 1:
            return 1.f / x;
        case 2:
            return fmaf(-y, y, 1.f);
        case 3:
            return y * (1.f - y);
        case 4:
            return gelu_slope(x);
        case 5: {
            float s = sigmoid(x);
            return fmaf(y, 1.f - s, s);
        }
        default:
            return x <= 0.f ? 0.f : 1.f;
    }
}
void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
    for (int i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)0xd2511f53 * c[0], b = (uint64_t)0xcd9e8d57 * c[2];
        uint32_t n[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                         (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        memcpy(c, n, 16);
        k0 += 0x9e3779b9;
        k1 += 0xbb67ae85;
    }
}
// To the nearest multiple of what the exponent allows, ties to even, and back.
float half(float x) {
    if (x != x) return x;
    double a = fabs((double)x);
    if (a >= 65520.0) return copysignf(INFINITY, x);
    int e;
    frexp(a, &e);
    double unit = ldexp(1.0, max(e - 11, -24));
    return copysignf((float)(nearbyint(a / unit) * unit), x);
}
V numbers(int n, uint32_t s) {
    V v;
    for (int i = 0; i < n; i++) {
        uint32_t c[4] = {(uint32_t)i, 0, 0, 0};
        philox(c, s, 0);
        uint32_t b = c[0], k = c[1];
        v.push_back((k & 15) == 0   ? number(b & 0x80000000)
                    : (k & 15) == 1 ? number(b & 0x807fffff)
                                    : number((b & 0x807fffff) | ((110 + (k >> 27)) << 23)));
    }
    return v;
}
V activations(int n, uint32_t s) {
    V v;
    for (int i = 0; i < n; i++) {
        uint32_t c[4] = {(uint32_t)i, 1, 0, 0};
        philox(c, s, 0);
        v.push_back((float)((int)c[0] >> 8) / 4194304.f);
    }
    return v;
}
struct Operands {
    float a, b, c;
};
vector<Operands> operands(int n, uint32_t s) {
    vector<Operands> v;
    auto sized = [](uint32_t b, uint32_t k) {
        return number((b & 0x7fffff) | ((50 + (k & 127)) << 23));
    };
    for (int i = 0; i < n; i++) {
        uint32_t w[4] = {(uint32_t)i, 2, 0, 0};
        philox(w, s, 0);
        uint32_t kind = w[1] & 7, k = w[1] >> 3;
        Operands o;
        if (kind < 3) {
            // The product is (1 + u) (1 - u) times half of the distance from |c| to the next.
            o.c = number(1 | (kind == 0   ? w[0] & 0x807fffff
                              : kind == 1 ? (w[0] & 0x80000000) | 0x7f7fffff
                                          : w[0] & 0xfeffffff));
            float size = fabsf(o.c);
            double half = ((double)size - (double)number(bits(size) - 1)) / 2;
            int e = ilogb(half), first = (int)floor(e / 2.0);
            float u = (float)((w[2] & 511) + 1) / 8388608.f;
            o.a = ldexpf(1.f + u, first);
            o.b = ldexpf(1.f - u, e - first);
        } else if (kind < 7) {
            o.a = ldexpf((float)((w[2] & 1023) | 3073), (int)(k & 127) - 64);
            o.b = (float)((w[2] >> 16 & 2047) | 6145);
            o.c = number(w[0] & 0x80ffffff);
        } else {
            o.a = sized(w[0], k);
            o.b = sized(w[2], k >> 7);
            o.c = -number(bits(o.a * o.b) ^ (k >> 14 & 1));
        }
        if (w[3] & 1) o.a = -o.a, o.c = -o.c;
        v.push_back(o);
    }
    return v;
}
struct Hash {
    uint64_t h = 0xcbf29ce484222325ull;
    void f(float x) {
        uint32_t w = x != x ? 0x7fc00000 : bits(x);
        for (int i = 0; i < 4; i++) {
            h = (h ^ ((w >> (8 * i)) & 255)) * 0x100000001b3ull;
        }
    }
    void v(const V& x) {
        for (float y : x)
            f(y);
    }
};
float chain(int n, function<float(int)> a, function<float(int)> b) {
    if (!n) return 0;
    float t = 0;
    for (int s = 0; s < n; s += 256) {
        float c = 0;
        for (int i = s; i < n && i < s + 256; i++)
            c = fmaf(a(i), b(i), c);
        t = s ? t + c : c;
    }
    return t;
}
float row_sum(const V& x) {
    if (x.size() > 4096) {
        V p;
        for (size_t s = 0; s < x.size(); s += 4096)
            p.push_back(row_sum(V(x.begin() + s, x.begin() + min(x.size(), s + 4096))));
        return row_sum(p);
    }
    float l[32] = {};
    for (size_t i = 0; i < x.size(); i++)
        l[i % 32] = l[i % 32] + x[i];
    for (int h = 16; h; h /= 2)
        for (int i = 0; i < h; i++)
            l[i] = l[i] + l[i + h];
    return l[0];
}
float dot(const V& a, const V& b) {
    V p;
    for (size_t s = 0; s < a.size() || !s; s += 4096) {
        float l[32] = {};
        for (size_t i = s; i < a.size() && i < s + 4096; i++)
            l[(i - s) % 32] = fmaf(a[i], b[i], l[(i - s) % 32]);
        for (int h = 16; h; h /= 2)
            for (int i = 0; i < h; i++)
                l[i] = l[i] + l[i + h];
        p.push_back(l[0]);
    }
    return p.size() == 1 ? p[0] : row_sum(p);
}
V softmax(const V& x) {
    float m = -INFINITY;
    for (float v : x)
        if (v > m) m = v;
    V e;
    for (float v : x)
        e.push_back(exp_(v - m));
    float t = row_sum(e);
    for (float& v : e)
        v = v / t;
    return e;
}
void show(const char* n, uint64_t h) {
    printf("%s=%016llx\n", n, (unsigned long long)h);
}
int main() {
    V x;
    for (uint32_t i = 0; i < 4096; i++)
        x.push_back(number(i * 1048583u));
    for (uint32_t i = 0; i < 2048; i++)
        x.push_back(((float)i - 1024.f) / 37.f);
    for (uint32_t b :
         {0x7f800000u, 0xff800000u, 0x80000000u, 0x7f7fffffu, 0xff7fffffu, 1u, 0x80000001u})
        x.push_back(number(b));

    // fused: A-05
    {
        Hash h;
        V edges;
        for (float v : {0.f, number(1), 1.f, number(0x7f7fffff), INFINITY}) {
            edges.push_back(v);
            edges.push_back(-v);
        }
        for (float a : edges)
            for (float b : edges)
                for (float c : edges)
                    h.f(fmaf(a, b, c));
        vector<Operands> o = operands(1024, 42);
        for (Operands& q : o)
            h.f(fmaf(q.a, q.b, q.c));
        // Chains of (c, 1) and (a, b) in products of 16 rows and columns.
        for (int s = 0; s < 1024; s += 16)
            for (int i = s; i < s + 16; i++)
                for (int j = s; j < s + 16; j++)
                    h.f(chain(
                        2, [&](int k) { return k ? o[i].a : o[i].c; },
                        [&](int k) { return k ? o[j].b : 1.f; }));
        show("fused", h.h);
    }

    // function
    {
        Hash h;
        // At these the last places of the constants show.
        V y = x;
        for (uint32_t b : {0xc2514c26u, 0x428355f6u, 0x4203b2aeu, 0xc26fd434u, 0xc2a91a58u,
                           0xc2a0d1c4u, 0x3f24c7a6u, 0x3fb4a96eu, 0x3fb504f3u, 0x3f3504f2u,
                           0x19582f7au, 0x29104ceeu, 0x3f074321u, 0x3f1759d7u, 0x3f200000u})
            y.push_back(number(b));
        for (int f = 0; f < 7; f++)
            for (float v : y)
                h.f(value(f, v));
        V a = numbers(1000, 3), b = numbers(8, 4);
        for (int i = 0; i < 1000; i++)
            h.f(a[i] + b[i % 8]);
        show("function", h.h);
    }

    // function gradient
    {
        Hash h;
        V g = activations(x.size(), 5);
        for (int f = 0; f < 7; f++)
            for (size_t i = 0; i < x.size(); i++)
                h.f(g[i] * slope(f, x[i], value(f, x[i])));
        show("function gradient", h.h);
    }

    // sum
    {
        Hash h;
        for (int n : {0, 1, 33, 4096, 4097, 20000}) {
            V a = numbers(n, 6), b = numbers(n, 7);
            h.f(row_sum(a));
            h.f(dot(a, b));
            h.f(sqrtf(row_sum({dot(a, a), dot(b, b)})));
        }
        int rw[3][2] = {{600, 5}, {1, 3}, {257, 40}};
        for (auto& q : rw) {
            int r = q[0], w = q[1];
            V a = numbers(r * w, 8), b = numbers(r * w, 9);
            for (int j = 0; j < w; j++)
                h.f(chain(r, [&](int i) { return a[i * w + j]; }, [](int) { return 1.f; }));
            for (int j = 0; j < w; j++)
                h.f(chain(
                    r, [&](int i) { return a[i * w + j]; }, [&](int i) { return b[i * w + j]; }));
        }
        show("sum", h.h);
    }

    // softmax
    {
        Hash h;
        for (int w : {1, 10, 65, 4100}) {
            int r = w > 1000 ? 2 : 9;
            V x = activations(r * w, 10), g = activations(r * w, 11), y, d;
            for (int i = 0; i < r; i++) {
                V s = softmax(V(x.begin() + i * w, x.begin() + (i + 1) * w)),
                  gg(g.begin() + i * w, g.begin() + (i + 1) * w);
                float in = dot(gg, s);
                y.insert(y.end(), s.begin(), s.end());
                for (int j = 0; j < w; j++)
                    d.push_back(s[j] * (gg[j] - in));
            }
            h.v(y);
            h.v(d);
        }
        show("softmax", h.h);
    }

    // cross-entropy
    {
        Hash h;
        for (int c : {2, 10, 65}) {
            int r = 40;
            V s = numbers(r * c, 12);
            for (float& v : s)
                v = v * 0.01f;
            V l, g;
            for (int i = 0; i < r; i++) {
                V row(s.begin() + i * c, s.begin() + (i + 1) * c);
                int lab = i * 7 % c;
                float m = -INFINITY;
                for (float v : row)
                    if (v > m) m = v;
                V e;
                for (float v : row)
                    e.push_back(exp_(v - m));
                float t = row_sum(e);
                l.push_back(log_(t) - (row[lab] - m));
                for (int j = 0; j < c; j++) {
                    float y = e[j] / t;
                    if (j == lab) y = y - 1.f;
                    g.push_back(y * (0.5f / (float)r));
                }
            }
            h.f(row_sum(l) / (float)r);
            h.v(g);
        }
        show("cross-entropy", h.h);
    }

    // layer norm
    {
        Hash h;
        for (int w : {1, 24, 100}) {
            V x = activations(7 * w, 13), g = activations(7 * w, 14), ga = activations(w, 15),
              sh = activations(w, 16), y, dx, z;
            float n = w;
            for (int i = 0; i < 7; i++) {
                V r(x.begin() + i * w, x.begin() + (i + 1) * w);
                float m = row_sum(r) / n;
                V d;
                for (float v : r)
                    d.push_back(v - m);
                float sc = 1.f / sqrtf(dot(d, d) / n + 1e-5f);
                V zz, hh;
                for (int j = 0; j < w; j++) {
                    zz.push_back(d[j] * sc);
                    y.push_back(fmaf(zz[j], ga[j], sh[j]));
                    hh.push_back(g[i * w + j] * ga[j]);
                }
                float me = row_sum(hh) / n, al = dot(hh, zz) / n;
                for (int j = 0; j < w; j++)
                    dx.push_back(sc * fmaf(-zz[j], al, hh[j] - me));
                z.insert(z.end(), zz.begin(), zz.end());
            }
            h.v(y);
            h.v(dx);
            for (int j = 0; j < w; j++)
                h.f(chain(
                    7, [&](int i) { return g[i * w + j]; }, [&](int i) { return z[i * w + j]; }));
            for (int j = 0; j < w; j++)
                h.f(chain(7, [&](int i) { return g[i * w + j]; }, [](int) { return 1.f; }));
        }
        show("layer norm", h.h);
    }

    // batch norm
    {
        Hash h;
        int rw[2][2] = {{300, 12}, {5, 3}};
        for (auto& q : rw) {
            int r = q[0], w = q[1];
            V x = activations(r * w, 17), g = activations(r * w, 18), ga = activations(w, 19),
              sh = activations(w, 20), M, Va, y(r * w), dx(r * w), dg, ds;
            for (int j = 0; j < w; j++) {
                auto one = [](int) { return 1.f; };
                float m = chain(r, [&](int i) { return x[i * w + j]; }, one) / (float)r;
                auto d = [&](int i) { return x[i * w + j] - m; };
                float v = chain(r, d, d) / (float)r;
                float sc = 1.f / sqrtf(v + 1e-5f);
                auto z = [&](int i) { return d(i) * sc; };
                auto G = [&](int i) { return g[i * w + j]; };
                float dgg = chain(r, G, z), dss = chain(r, G, one);
                float fa = sc * ga[j], me = dss / (float)r, al = dgg / (float)r;
                for (int i = 0; i < r; i++) {
                    y[i * w + j] = fmaf(z(i), ga[j], sh[j]);
                    dx[i * w + j] = fa * fmaf(-z(i), al, G(i) - me);
                }
                M.push_back(m);
                Va.push_back(v);
                dg.push_back(dgg);
                ds.push_back(dss);
            }
            h.v(M);
            h.v(Va);
            h.v(y);
            h.v(dx);
            h.v(dg);
            h.v(ds);
        }
        show("batch norm", h.h);
    }

    // attention
    {
        Hash h;
        for (bool ca : {true, false}) {
            int N = 3, p = 21, w = 24, H = 3, D = 8;
            V q = activations(3 * 3 * p * w, 28), g = activations(3 * p * w, 29), y(N * p * w),
              dq(3 * N * p * w);
            for (int n = 0; n < N; n++)
                for (int hd = 0; hd < H; hd++) {
                    auto at = [&](int wh, int i, int c) {
                        return (n * p + i) * 3 * w + wh * w + hd * D + c;
                    };
                    auto Q = [&](int wh, int i, int c) { return q[at(wh, i, c)]; };
                    auto G = [&](int i, int c) { return g[(n * p + i) * w + hd * D + c]; };
                    float sc = 1.f / sqrtf((float)D);
                    vector<V> W(p), S(p);
                    for (int i = 0; i < p; i++) {
                        int se = ca ? i + 1 : p;
                        V s;
                        for (int k = 0; k < se; k++)
                            s.push_back(chain(
                                            D, [&](int c) { return Q(0, i, c); },
                                            [&](int c) { return Q(1, k, c); }) *
                                        sc);
                        V r = softmax(s), b;
                        for (int k = 0; k < se; k++)
                            b.push_back(chain(
                                D, [&](int c) { return G(i, c); },
                                [&](int c) { return Q(2, k, c); }));
                        float d = dot(b, r);
                        V ss;
                        for (int k = 0; k < se; k++)
                            ss.push_back(r[k] * (b[k] - d) * sc);
                        r.resize(p, 0.f);
                        ss.resize(p, 0.f);
                        W[i] = r;
                        S[i] = ss;
                    }
                    for (int i = 0; i < p; i++)
                        for (int c = 0; c < D; c++) {
                            y[(n * p + i) * w + hd * D + c] = chain(
                                p, [&](int k) { return W[i][k]; },
                                [&](int k) { return Q(2, k, c); });
                            dq[at(2, i, c)] = chain(
                                p, [&](int k) { return W[k][i]; }, [&](int k) { return G(k, c); });
                            dq[at(0, i, c)] = chain(
                                p, [&](int k) { return S[i][k]; },
                                [&](int k) { return Q(1, k, c); });
                            dq[at(1, i, c)] = chain(
                                p, [&](int k) { return S[k][i]; },
                                [&](int k) { return Q(0, k, c); });
                        }
                }
            h.v(y);
            h.v(dq);
        }
        show("attention", h.h);
    }
    int T = 5, R = 3, w = 18, n = T * R * w;
    auto I = [&](int t, int r, int j) { return (t * R + r) * w + j; };

    // lstm
    {
        Hash h;
        V X = activations(4 * n, 30), U = activations(4 * w * w, 31), g = activations(n, 32), st(n),
          ce(n), ga(4 * n), dx(4 * n), du(4 * w * w);
        auto GI = [&](int t, int r, int k, int j) { return (t * R + r) * 4 * w + k * w + j; };
        for (int t = 0; t < T; t++)
            for (int r = 0; r < R; r++)
                for (int j = 0; j < w; j++) {
                    float a[4];
                    for (int k = 0; k < 4; k++) {
                        float c = t ? chain(
                                          w, [&](int m) { return st[I(t - 1, r, m)]; },
                                          [&](int m) { return U[(k * w + j) * w + m]; })
                                    : 0.f;
                        a[k] = c + X[GI(t, r, k, j)];
                        a[k] = k == 2 ? tanh_(a[k]) : sigmoid(a[k]);
                        ga[GI(t, r, k, j)] = a[k];
                    }
                    float c = a[0] * a[2];
                    if (t) c = fmaf(a[1], ce[I(t - 1, r, j)], c);
                    ce[I(t, r, j)] = c;
                    st[I(t, r, j)] = a[3] * tanh_(c);
                }
        V D(R * w), C(R * w);
        for (int t = T - 1; t >= 0; t--) {
            for (int r = 0; r < R; r++)
                for (int j = 0; j < w; j++) {
                    float &Dd = D[r * w + j], &Cc = C[r * w + j];
                    Dd = Dd + g[I(t, r, j)];
                    float i = ga[GI(t, r, 0, j)], f = ga[GI(t, r, 1, j)], gg = ga[GI(t, r, 2, j)],
                          o = ga[GI(t, r, 3, j)], th = tanh_(ce[I(t, r, j)]);
                    float d_o = (Dd * th) * (o * (1.f - o)),
                          d = fmaf(Dd * o, fmaf(-th, th, 1.f), Cc),
                          d_i = (d * gg) * (i * (1.f - i)), d_g = (d * i) * fmaf(-gg, gg, 1.f);
                    Cc = d * f;
                    float d_f = t ? (d * (f * (1.f - f))) * ce[I(t - 1, r, j)] : 0.f;
                    dx[GI(t, r, 0, j)] = d_i;
                    dx[GI(t, r, 1, j)] = d_f;
                    dx[GI(t, r, 2, j)] = d_g;
                    dx[GI(t, r, 3, j)] = d_o;
                }
            for (int r = 0; r < R; r++)
                for (int j = 0; j < w; j++)
                    D[r * w + j] = chain(
                        4 * w, [&](int m) { return dx[(t * R + r) * 4 * w + m]; },
                        [&](int m) { return U[m * w + j]; });
        }
        for (int m = 0; m < 4 * w; m++)
            for (int j = 0; j < w; j++)
                du[m * w + j] = chain((T - 1) * R, [&](int q) { return dx[(q + R) * 4 * w + m]; },
                                      [&](int q) { return st[q * w + j]; });
        h.v(st);
        h.v(dx);
        h.v(du);
        show("lstm", h.h);
    }

    // gru
    {
        Hash h;
        V X = activations(3 * n, 33), U = activations(3 * w * w, 34), g = activations(n, 35),
          Bi = activations(3 * w, 36), st(n), dx(3 * n), in(3 * n), du(3 * w * w), rr(n), zz(n),
          nn(n), un(n);
        auto GI = [&](int t, int r, int k, int j) { return (t * R + r) * 3 * w + k * w + j; };
        for (int t = 0; t < T; t++)
            for (int r = 0; r < R; r++)
                for (int j = 0; j < w; j++) {
                    float u[3];
                    for (int k = 0; k < 3; k++) {
                        float c = t ? chain(
                                          w, [&](int m) { return st[I(t - 1, r, m)]; },
                                          [&](int m) { return U[(k * w + j) * w + m]; })
                                    : 0.f;
                        u[k] = c + Bi[k * w + j];
                    }
                    int q = I(t, r, j);
                    rr[q] = sigmoid(X[GI(t, r, 0, j)] + u[0]);
                    zz[q] = sigmoid(X[GI(t, r, 1, j)] + u[1]);
                    un[q] = u[2];
                    nn[q] = tanh_(fmaf(rr[q], u[2], X[GI(t, r, 2, j)]));
                    float s = (1.f - zz[q]) * nn[q];
                    if (t) s = fmaf(zz[q], st[I(t - 1, r, j)], s);
                    st[q] = s;
                }
        V D(R * w);
        for (int t = T - 1; t >= 0; t--) {
            V N(R * w);
            for (int r = 0; r < R; r++)
                for (int j = 0; j < w; j++) {
                    int q = I(t, r, j);
                    float d = D[r * w + j] + g[q], b = t ? st[I(t - 1, r, j)] : 0.f, z = zz[q],
                          nv = nn[q], rv = rr[q];
                    float dn = (d * (1.f - z)) * fmaf(-nv, nv, 1.f),
                          dz = (d * (b - nv)) * (z * (1.f - z)),
                          dr = (dn * un[q]) * (rv * (1.f - rv));
                    dx[GI(t, r, 0, j)] = in[GI(t, r, 0, j)] = dr;
                    dx[GI(t, r, 1, j)] = in[GI(t, r, 1, j)] = dz;
                    dx[GI(t, r, 2, j)] = dn;
                    in[GI(t, r, 2, j)] = dn * rv;
                    N[r * w + j] = d * z;
                }
            for (int r = 0; r < R; r++)
                for (int j = 0; j < w; j++)
                    D[r * w + j] = N[r * w + j] +
                                   chain(
                                       3 * w, [&](int m) { return in[(t * R + r) * 3 * w + m]; },
                                       [&](int m) { return U[m * w + j]; });
        }
        for (int m = 0; m < 3 * w; m++)
            for (int j = 0; j < w; j++)
                du[m * w + j] = chain((T - 1) * R, [&](int q) { return in[(q + R) * 3 * w + m]; },
                                      [&](int q) { return st[q * w + j]; });
        h.v(st);
        h.v(dx);
        h.v(du);
        for (int m = 0; m < 3 * w; m++)
            h.f(chain(T * R, [&](int q) { return in[q * 3 * w + m]; }, [](int) { return 1.f; }));
        show("gru", h.h);
    }

    // update
    {
        Hash h;
        int n = 1003;
        V p = numbers(n, 37), g = numbers(n, 38), m = numbers(n, 39), v = numbers(n, 40);
        for (float& q : v)
            q = number(bits(q) & 0x7fffffff);
        float b1 = .9f, b2 = .999f;
        for (int i = 0; i < n; i++) {
            float d = fmaf(.01f, p[i], g[i]);
            m[i] = fmaf(.9f, m[i], d);
            p[i] = fmaf(-.1f, m[i], p[i]);
        }
        for (int i = 0; i < n; i++) {
            m[i] = fmaf(b1, m[i], (1.f - b1) * g[i]);
            v[i] = fmaf(b2, v[i], ((1.f - b2) * g[i]) * g[i]);
            float s = (m[i] / .19f) / (sqrtf(v[i] / .002f) + 1e-8f);
            p[i] = fmaf(-.003f, s, p[i] * .9997f);
        }
        for (float& q : v)
            q = q * .3f;
        h.v(p);
        h.v(m);
        h.v(v);
        show("update", h.h);
    }

    // random and cast
    {
        Hash h;
        V a = activations(1000, 41);
        float sc = 1.f / (1.f - .3f);
        for (int i = 0; i < 1000; i++) {
            uint32_t c[4] = {(uint32_t)i / 4, 0, 9, 10};
            philox(c, 7, 8);
            float u = (float)(c[i % 4] >> 8) / 16777216.f;
            h.f(u >= .3f ? a[i] * sc : 0.f);
        }
        for (int i = 0; i < 100; i++) {
            long s = 0;
            for (int k = 0; k < 3; k++) {
                uint32_t c[4] = {(uint32_t)(3 * i + k), 0, 9, 10};
                philox(c, 7, 8);
                for (uint32_t q : c)
                    s += q >> 8;
            }
            h.f((float)(s - 6 * 16777216L + 6) / 16777216.f);
        }
        V y = x;
        for (uint32_t i = 0; i < 2048; i++)
            y.push_back(number(i << 21 | i << 16 | 0x8000));
        for (float v : y) {
            uint32_t b = bits(v);
            h.f(v != v ? v : number(((b + 0x7fff + ((b >> 16) & 1)) >> 16) << 16));
            h.f(half(v));
        }
        show("random and cast", h.h);
    }

    // product
    {
        Hash h;
        int z[4][3] = {{17, 600, 37}, {1, 257, 33}, {64, 3, 16}, {5, 1, 7}};
        for (auto& q : z) {
            int m = q[0], k = q[1], n = q[2];
            V a = numbers(m * k, 1), b = numbers(k * n, 2);
            for (int t = 0; t < 2; t++)
                for (int i = 0; i < m; i++)
                    for (int j = 0; j < n; j++)
                        h.f(chain(
                            k, [&](int p) { return t ? a[p * m + i] : a[i * k + p]; },
                            [&](int p) { return t ? b[j * k + p] : b[p * n + j]; }));
        }
        show("product", h.h);
    }

    // embedding: A-48
    {
        Hash h;
        int w = 20;
        V ta = numbers(7 * w, 26), g = activations(2000 * w, 27);
        vector<uint32_t> id;
        for (uint32_t i = 0; i < 2000; i++)
            id.push_back(i * i % 7);
        for (uint32_t i : id)
            for (int j = 0; j < w; j++)
                h.f(ta[i * w + j]);
        for (uint32_t r = 0; r < 7; r++)
            for (int j = 0; j < w; j++) {
                V t;
                for (int i = 0; i < 2000; i++)
                    if (id[i] == r) t.push_back(g[i * w + j]);
                h.f(chain(t.size(), [&](int i) { return t[i]; }, [](int) { return 1.f; }));
            }
        show("embedding", h.h);
    }

    // convolution, pooling
    struct Window {
        int N, S[2], C, K[2], st, pa;
    };
    Window ws[2] = {{3, {9, 8}, 2, {3, 3}, 1, 1}, {2, {11, 7}, 5, {2, 3}, 2, 0}};
    Hash hc, hp;
    for (auto& q : ws) {
        int oh = (q.S[0] + 2 * q.pa - q.K[0]) / q.st + 1,
            ow = (q.S[1] + 2 * q.pa - q.K[1]) / q.st + 1, O = 6, P = q.K[0] * q.K[1] * q.C,
            L = q.N * oh * ow, im = q.S[0] * q.S[1] * q.C;
        auto at = [&](int l, int k) -> int {
            int n = l / (oh * ow), oy = l / ow % oh, ox = l % ow, ky = k / q.K[1], kx = k % q.K[1];
            int y = oy * q.st + ky - q.pa, x = ox * q.st + kx - q.pa;
            return y < 0 || x < 0 || y >= q.S[0] || x >= q.S[1] ? -1
                                                                : n * im + (y * q.S[1] + x) * q.C;
        };
        {
            V x = activations(q.N * im, 21), W = activations(O * P, 22), g = activations(L * O, 23);
            auto px = [&](int l, int p) {
                int a = at(l, p / q.C);
                return a < 0 ? 0.f : x[a + p % q.C];
            };
            for (int l = 0; l < L; l++)
                for (int o = 0; o < O; o++)
                    hc.f(chain(
                        P, [&](int p) { return px(l, p); }, [&](int p) { return W[o * P + p]; }));
            for (int o = 0; o < O; o++)
                for (int p = 0; p < P; p++)
                    hc.f(chain(
                        L, [&](int l) { return g[l * O + o]; }, [&](int l) { return px(l, p); }));
            V dx(x.size());
            vector<char> on(x.size());
            for (int k = 0; k < q.K[0] * q.K[1]; k++)
                for (int l = 0; l < L; l++) {
                    int a = at(l, k);
                    if (a < 0) continue;
                    for (int c = 0; c < q.C; c++) {
                        float t = chain(
                            O, [&](int o) { return g[l * O + o]; },
                            [&](int o) { return W[o * P + k * q.C + c]; });
                        dx[a + c] = on[a + c] ? dx[a + c] + t : t;
                        on[a + c] = 1;
                    }
                }
            hc.v(dx);
        }
        {
            V plain = activations(q.N * im, 24), x = plain, g = activations(L * q.C, 25), mx, me,
              dm(x.size()), dn(x.size());
            for (float& v : x)
                v = roundf(v * 3.f);
            float ct = q.K[0] * q.K[1];
            for (int l = 0; l < L; l++)
                for (int c = 0; c < q.C; c++) {
                    int b = -1;
                    float s = 0;
                    for (int k = 0; k < q.K[0] * q.K[1]; k++) {
                        int a = at(l, k);
                        if (a < 0) continue;
                        a += c;
                        if (b < 0 || x[a] > x[b]) b = a;
                        s = s + plain[a];
                        dn[a] = dn[a] + g[l * q.C + c] / ct;
                    }
                    mx.push_back(b < 0 ? 0.f : x[b]);
                    me.push_back(s / ct);
                    if (b >= 0) dm[b] = dm[b] + g[l * q.C + c];
                }
            hp.v(mx);
            hp.v(dm);
            hp.v(me);
            hp.v(dn);
        }
    }
    show("convolution", hc.h);
    show("pooling", hp.h);
}
