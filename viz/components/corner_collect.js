// Pictures of the page for a report (collect.js asks), each as its corner would save it, without the lines below.
const MOST_PICTURES = 24;

// What is seen now, but for those whose keys are in `but`: a report draws these itself. Of all SVGs together, `most`
// letters; `left` counts what is too large, or does not work.
async function collected(light, { but, most }) {
  const made = [];
  let left = 0, room = most;
  for (const [box, picture] of pictures()) {
    const { key, title, own } = toldOf(picture);
    if (but.includes(key) || !box.checkVisibility()) continue;
    const svg = made.length < MOST_PICTURES ? await drawn(picture, light, []).catch(() => null) : null;
    if (!svg || svg.length > room) left++;
    else {
      room -= svg.length;
      made.push({ title, own, svg });
    }
  }
  return { left, pictures: made };
}
