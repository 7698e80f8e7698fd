// weight byte -> the theme's sequential colours, as RGBA in one 32-bit number
function palette(host) {
  const colours = getComputedStyle(host).getPropertyValue("--st-chart-sequential-colors").split(",").map((c) => {
    const hex = parseInt(c.trim().slice(1), 16);
    return [hex >> 16, (hex >> 8) & 255, hex & 255];
  });
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    const at = (byte / 255) * (colours.length - 1), i = Math.min(Math.floor(at), colours.length - 2), f = at - i;
    const [r, g, b] = colours[i].map((c, j) => Math.round(c * (1 - f) + colours[i + 1][j] * f));
    return (255 << 24) | (b << 16) | (g << 8) | r;
  });
}
