function render({ data, setTriggerValue }) {
  const timer = setTimeout(() => setTriggerValue("look", data.drawn), 1000 * data.seconds);
  return () => clearTimeout(timer);
}
