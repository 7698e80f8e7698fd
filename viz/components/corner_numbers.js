// The numbers of a picture as CSV, as viz/figures/corner.py sends them: nothing is rounded on the way.

// A float of single precision in as few digits as give it again; what is not a number is an empty cell.
function singleText(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "" : value > 0 ? "inf" : "-inf";
  for (let digits = 1; digits < 10; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(value);
}

const doubleText = (value) => Number.isNaN(value) ? "" : Number.isFinite(value) ? String(value) : singleText(value);

// A column as texts. A word that a spreadsheet would take for a formula gets a ' before it.
function textsOf(column) {
  if (Array.isArray(column)) {
    return column.map((each) => (typeof each === "number" ? doubleText(each) : wordCell(each)));
  }
  const [kind] = Object.keys(column), single = kind === "f4";
  const bytes = Uint8Array.from(atob(column[kind]), (character) => character.charCodeAt(0));
  const values = new (single ? Float32Array : Float64Array)(bytes.buffer);
  return Array.from(values, single ? singleText : doubleText);
}

function wordCell(word) {
  if (word == null) return "";
  const text = String(word), safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvOf(numbers) {
  const lines = numbers.axes ? cubeLines(numbers) : tableLines(numbers.columns);
  return lines.map((cells) => cells.join(",") + "\n").join("");
}

function tableLines(columns) {
  const texts = columns.map(([, values]) => textsOf(values)), n = Math.max(0, ...texts.map((each) => each.length));
  const lines = Array.from({ length: n }, (_, i) => texts.map((each) => each[i] ?? ""));
  return [columns.map(([name]) => wordCell(name)), ...lines];
}

// Two axes are a table of rows and columns; of more, each number has a line of its own.
function cubeLines({ axes, name, values }) {
  const texts = textsOf(values), named = ([, , labels], i) => wordCell(labels.length ? labels[i] : i);
  if (axes.length === 2) {
    const [rows, columns] = axes, across = Array.from({ length: columns[1] }, (_, i) => named(columns, i));
    const lines = Array.from(
      { length: rows[1] },
      (_, i) => [named(rows, i), ...texts.slice(i * columns[1], (i + 1) * columns[1])],
    );
    return [[wordCell(`${rows[0]} / ${columns[0]}`), ...across], ...lines];
  }
  const places = axes.map((axis) => Array.from({ length: axis[1] }, (_, i) => named(axis, i)));
  const lines = texts.map((text, at) => {
    const cells = [text];
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      cells.unshift(places[axis][at % axes[axis][1]]);
      at = Math.floor(at / axes[axis][1]);
    }
    return cells;
  });
  return [[...axes.map(([axis]) => wordCell(axis)), wordCell(name)], ...lines];
}

// What a figure of plotly itself holds, where nobody told more: the values of its traces, as they were sent.
function numbersOfTraces(traces) {
  const plain = (values) => {
    if (!values) return [];
    if (!values.bdata) return Array.from(values);
    const bytes = Uint8Array.from(atob(values.bdata), (character) => character.charCodeAt(0)).buffer;
    const kinds = { f4: Float32Array, f8: Float64Array, i1: Int8Array, u1: Uint8Array, i2: Int16Array };
    Object.assign(kinds, { u2: Uint16Array, i4: Int32Array, u4: Uint32Array });
    const typed = new kinds[values.dtype](bytes), n = String(values.shape ?? "").split(",").map(Number)[1];
    const texts = values.dtype === "f4" ? Array.from(typed, (each) => Number(singleText(each))) : Array.from(typed);
    return n ? Array.from({ length: texts.length / n }, (_, i) => texts.slice(i * n, (i + 1) * n)) : texts;
  };
  const columns = [["trace", []], ["x", []], ["y", []], ["value", []]],
    add = (...cells) => cells.forEach((cell, i) => columns[i][1].push(cell ?? null));
  traces.filter((trace) => trace.opacity !== 0 && trace.marker?.opacity !== 0).forEach((trace, i) => {
    const name = trace.name ?? String(i), x = plain(trace.x ?? trace.labels), y = plain(trace.y), z = plain(trace.z);
    if (Array.isArray(z[0])) {
      z.forEach((row, at) => row.forEach((value, j) => add(name, x[j] ?? j, y[at] ?? at, value)));
    } else for (let at = 0; at < Math.max(x.length, y.length); at++) add(name, x[at] ?? at, y[at], z[at]);
  });
  return { columns };
}
