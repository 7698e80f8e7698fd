// Colours for paper: those of the light theme, whatever the page wears.

// Any colour of CSS as [red, green, blue, alpha], by what a canvas makes of it.
const colourPen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
  .getContext("2d", { willReadFrequently: true });
const coloursKnown = new Map();
function rgbaOf(colour) {
  if (!coloursKnown.has(colour)) {
    colourPen.clearRect(0, 0, 1, 1);
    colourPen.fillStyle = "black";
    colourPen.fillStyle = colour;
    colourPen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = colourPen.getImageData(0, 0, 1, 1).data;
    coloursKnown.set(colour, [r, g, b, a / 255]);
  }
  return coloursKnown.get(colour);
}
const hexOf = ([r, g, b]) => `#${[r, g, b].map((part) => part.toString(16).padStart(2, "0")).join("")}`;

// As attributes of SVG, of which the older programs know no other colours: a fill, and its opacity from 0 to 1.
function paint(name, colour) {
  const rgba = rgbaOf(colour);
  return rgba[3] === 1 ? { [name]: hexOf(rgba) } : { [name]: hexOf(rgba), [`${name}-opacity`]: +rgba[3].toFixed(3) };
}

const listed = (host, kind) =>
  getComputedStyle(host).getPropertyValue(`--st-chart-${kind}-colors`).split(",").map((colour) => colour.trim());

// The variables of Streamlit's light theme. Each is written as no theme writes it, so that who watches one sees a change
// also where the page is light already, and draws.
function lightVariables({ page: [background, text], sequential, categorical }) {
  const shade = (share) =>
    hexOf(rgbaOf(text).slice(0, 3).map((part, i) => Math.round(part * share + rgbaOf(background)[i] * (1 - share))));
  return {
    "--st-text-color": text.toUpperCase() + " ",
    "--st-background-color": background,
    "--st-secondary-background-color": shade(0.05),
    "--st-border-color": shade(0.2),
    "--st-primary-color": sequential[7],
    "--st-chart-sequential-colors": sequential.join(",  "),
    "--st-chart-categorical-colors": categorical.join(",  "),
  };
}

// What Streamlit's dark theme gives plotly besides the colours of the theme, and what its light one gives.
const STREAMLITS = [["#fafafa", "#262730"], ["#31333f", "#e6eaf1"]];
const FAINT = { light: "#808495", dark: "#e6eaf1" }; // of letters in both, too faint for paper

// For plotly, which has its colours in the figure: a function that copies a part of it, dark colours made light.
function lightCopy(host, { page: [background, text], sequential, categorical }) {
  const style = getComputedStyle(host), now = (name) => style.getPropertyValue(name).trim().toLowerCase();
  const dark = now("--st-background-color") !== background.toLowerCase();
  const pairs = new Map(dark ? STREAMLITS : []), scale = new Map();
  pairs.set(dark ? FAINT.dark : FAINT.light, text);
  if (dark) {
    listed(host, "categorical").forEach((colour, i) => pairs.set(colour.toLowerCase(), categorical[i]));
    listed(host, "sequential").forEach((colour, i) => scale.set(colour.toLowerCase(), sequential[i]));
    pairs.set(now("--st-text-color"), text);
    pairs.set(now("--st-background-color"), background);
  }
  const light = (word, inScale) => {
    const known = (inScale ? scale.get(word.toLowerCase()) : null) ?? pairs.get(word.toLowerCase());
    if (known || !dark) return known ?? word;
    const parts = /^rgba?\((\d+), ?(\d+), ?(\d+)(?:, ?([\d.]+))?\)$/.exec(word);
    const found = parts && (pairs.get(hexOf(parts.slice(1, 4).map(Number))));
    return found
      ? `rgba(${rgbaOf(found).slice(0, 3).join(", ")}, ${parts[4] ?? 1})`
      : scale.get(word.toLowerCase()) ?? word;
  };
  const copy = (value, inScale = false) => {
    if (typeof value === "string") return light(value, inScale);
    if (Array.isArray(value)) return value.map((each) => copy(each, inScale));
    if (!value || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    const entries = Object.entries(value).filter(([name, each]) => !name.startsWith("_") && typeof each !== "function");
    return Object.fromEntries(entries.map(([name, each]) => [
      name,
      // words are no colours: those of ticks, hovers and texts stay as they are
      /^(text|ticktext|hovertext|customdata|hovertemplate|bdata)$/.test(name)
        ? each
        : copy(each, inScale || /colorscale/.test(name) || name === "sequential"),
    ]));
  };
  return copy;
}
