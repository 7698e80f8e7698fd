// A picture on white, with its caption below: as a text of SVG, and of that, a PNG.
const SHEET = { margin: 16, size: 12, line: 17, font: "system-ui, 'Noto Sans', 'Noto Sans CJK SC', sans-serif" };
const MOST_PIXELS = 50e6; // of a PNG: what browsers still draw

// Lines that are not wider than `most`, in words.
function wrapped(lines, most) {
  colourPen.font = `${SHEET.size}px ${SHEET.font}`;
  const fits = (text) => colourPen.measureText(text).width <= most;
  return lines.flatMap((line) => {
    const made = [];
    for (const word of line.split(" ")) {
      const longer = made.length ? `${made.at(-1)} ${word}` : word;
      if (made.length && !fits(longer)) made.push(word);
      else made[Math.max(0, made.length - 1)] = longer;
    }
    return made;
  });
}

function sheetOf([picture, width, height], { caption, title }, { page: [paper, ink] }, budget) {
  const { margin, size, line, font } = SHEET, wide = Math.ceil(Math.max(width, 320) + 2 * margin);
  const lines = wrapped(budget.pixels ? [...caption, "Part of it is drawn as pixels."] : caption, wide - 2 * margin);
  const first = Math.ceil(height) + 2 * margin, high = first + lines.length * line + margin;
  const sheet = shapeOf("svg", {
    xmlns: SVG_NS,
    role: "img",
    "aria-label": title,
    width: wide,
    height: high,
    viewBox: `0 0 ${wide} ${high}`,
    "font-family": font,
    "font-size": size,
    fill: ink,
  });
  picture.setAttribute("transform", `translate(${margin} ${margin})`);
  const words = lines.map((words, i) => shapeOf("text", { x: margin, y: first + (i + 0.7) * line }, words));
  sheet.append(
    shapeOf("title", {}, title),
    shapeOf("rect", { width: "100%", height: "100%", fill: paper }),
    picture,
    shapeOf("g", { class: "caption" }, ...words),
  );
  // by the serialiser, and so what came from outside is escaped; what XML cannot hold is taken out
  return new XMLSerializer().serializeToString(sheet).replace(
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g,
    "",
  );
}

async function pngOf(svg) {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" })), image = new Image();
  try {
    image.src = url;
    await image.decode();
    const scale = Math.min(
      2,
      Math.sqrt(MOST_PIXELS / (image.width * image.height)),
      16384 / Math.max(image.width, image.height),
    );
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: Math.round(scale * image.width), height: Math.round(scale * image.height) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) =>
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("too large for a PNG"))))
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}
