// What model/analysis/sampling.py makes of logits, the same one after another, to every entry of the vocabulary, in double
// precision; a test holds the two to each other. A token is named by its rank: 0 is the one with the largest logit.

// Those that a step is about, the largest logit first: `moved` are no longer where they were, all others are.
function sorted(logits, moved) {
  const elsewhere = new Set(moved), order = new Uint32Array(logits.length);
  const fresh = [...elsewhere].sort((a, b) => logits[b] - logits[a] || a - b);
  let next = 0, place = 0;
  for (let i = 0; i < logits.length; i++) {
    if (elsewhere.has(i)) continue;
    while (next < fresh.length && logits[fresh[next]] > logits[i]) order[place++] = fresh[next++];
    order[place++] = i;
  }
  while (next < fresh.length) order[place++] = fresh[next++];
  return order;
}

// p = exp(z - logSum); of what was cut, 0: which may be the first, for the most probable token can be the least typical
function softmax(logits, order) {
  const top = logits[order.find((i) => logits[i] > -Infinity) ?? 0], p = new Float64Array(logits.length);
  if (top === -Infinity) return { p, logSum: top }; // nothing is left
  let sum = 0;
  for (const i of order) sum += p[i] = Math.exp(logits[i] - top);
  for (const i of order) p[i] /= sum;
  return { p, logSum: top + Math.log(sum) };
}

const USUAL = {
  repetition_penalty: 1,
  no_repeat_ngram: 0,
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  typical_p: 1,
};

// Of logits z, largest first. `there`: the tokens in the text so far; `repeats[n - 1]`: those that would complete a
// sequence of n tokens which is there. Returns the chance of each token, what took it out of the choice, and of what was
// done, by its name, the numbers that its formula needs.
function warp(z, settings, { there, repeats }) {
  const logits = Float64Array.from(z), cutBy = new Map(), done = {}, n = logits.length;
  const asked = (name) => settings[name] !== USUAL[name];
  const cut = (i, name) => {
    if (logits[i] > -Infinity && !cutBy.has(i)) cutBy.set(i, name);
    logits[i] = -Infinity;
  };
  z.forEach((each, i) => each === -Infinity && cutBy.set(i, "model"));
  let order = Uint32Array.from(logits.keys());

  const { repetition_penalty: penalty, no_repeat_ngram: sequence, temperature } = settings;
  if (asked("repetition_penalty")) {
    for (const i of there) logits[i] *= logits[i] < 0 ? penalty : 1 / penalty;
    order = sorted(logits, there);
    const best = order.find((i) => there.includes(i));
    done.repetition_penalty = { n: there.length, best, before: z[best], after: logits[best] };
  }
  if (asked("no_repeat_ngram")) {
    const out = repeats[sequence - 1];
    for (const i of out) cut(i, "no_repeat_ngram");
    order = sorted(logits, asked("repetition_penalty") ? [...there, ...out] : out);
    done.no_repeat_ngram = { out };
  }
  const own = softmax(Float64Array.from(z), Uint32Array.from(z.keys()));
  if (temperature === 0) {
    for (const i of order.slice(1)) cut(i, "greedy");
    done.temperature = { best: order[0], logit: logits[order[0]] };
    const chance = new Float64Array(n);
    if (logits[order[0]] > -Infinity) chance[order[0]] = 1;
    return { probability: own.p, chance, cutBy, done, kept: n - cutBy.size };
  }
  if (asked("temperature")) { for (const i of order) logits[i] /= temperature; }
  const best = order[0], heated = softmax(logits, order);
  done.temperature = { best, logit: logits[best] * temperature, after: logits[best], ...heated, p: heated.p[best] };

  if (asked("top_k")) {
    const last = order[Math.min(settings.top_k, n) - 1], least = logits[last];
    const out = order.filter((i) => logits[i] < least);
    done.top_k = { last, logit: least, out: out.filter((i) => logits[i] > -Infinity).length };
    for (const i of out) cut(i, "top_k");
  }
  if (asked("top_p")) {
    const { p } = softmax(logits, order);
    let held = 0, stays = 0, before = 0;
    while (stays < n && held < settings.top_p) {
      before = held;
      held += p[order[stays++]];
    }
    for (const i of order.slice(stays)) cut(i, "top_p");
    done.top_p = { stays: Math.min(stays, n - cutBy.size), held, before };
  }
  if (asked("min_p")) {
    const { p } = softmax(logits, order), most = p[best], least = settings.min_p * most;
    for (const i of order) if (p[i] < least) cut(i, "min_p");
    done.min_p = { most, least, stays: n - cutBy.size };
  }
  if (asked("typical_p")) done.typical_p = typical(logits, order, settings.typical_p, cut);
  const any = Object.keys(USUAL).some(asked);
  return { probability: own.p, chance: any ? softmax(logits, order).p : own.p, cutBy, done, kept: n - cutBy.size };
}

// Those whose surprise is nearest to the entropy: from where it is crossed, the nearer of two neighbours comes next.
function typical(logits, order, least, cut) {
  const { p, logSum } = softmax(logits, order), there = order.filter((i) => logits[i] > -Infinity);
  const surprise = (i) => logSum - logits[i], entropy = there.reduce((sum, i) => sum + p[i] * surprise(i), 0);
  const away = (place) => place in there ? Math.abs(surprise(there[place]) - entropy) : Infinity;
  let after = there.findIndex((i) => surprise(i) >= entropy), held = 0, far = 0;
  if (after < 0) after = there.length;
  let before = after - 1;
  while (held < least && (before >= 0 || after < there.length)) {
    const place = away(before) <= away(after) ? before-- : after++;
    far = away(place);
    held += p[there[place]];
  }
  const out = there.filter((_, place) => away(place) > far);
  held = there.reduce((sum, i, place) => sum + (away(place) > far ? 0 : p[i]), 0);
  for (const i of out) cut(i, "typical_p");
  return { entropy, far, held, stays: there.length - out.length };
}

// The token that a number in [0, 1) draws: all chances laid end to end, the most probable token first.
function pick(chance, number) {
  let total = 0, end = 0, last = 0;
  chance.forEach((each, i) => {
    total += each;
    if (each > 0) last = i;
  });
  for (let i = 0; i < last; i++) {
    end += chance[i];
    if (number * total < end) return i;
  }
  return last;
}

// in nats
function entropyOf(p) {
  return p.reduce((sum, each) => each > 0 ? sum - each * Math.log(each) : sum, 0);
}
