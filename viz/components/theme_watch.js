export default function ({ parentElement, setTriggerValue }) {
  const host = parentElement.host || parentElement;
  const background = () => getComputedStyle(host).getPropertyValue("--st-background-color");
  let last = background();
  const timer = setInterval(() => {
    if (background() === last) return;
    last = background();
    setTriggerValue("theme", last);
  }, 300);
  return () => clearInterval(timer);
}
