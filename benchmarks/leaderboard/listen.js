// Playing the display tunes: one oscillator a note, out of the notes that the page carries. One tune
// plays at a time; the button that started it stops it, and so does Escape.

const notes = JSON.parse(document.getElementById("notes").textContent);
let sound = null; // The one AudioContext, made at the first press: browsers want one.
let playing = null;

function stop() {
  if (!playing) return;
  const { button, out, voices } = playing;
  playing = null;
  out.gain.setTargetAtTime(0, sound.currentTime, 0.015);
  for (const voice of voices) voice.stop(sound.currentTime + 0.1);
  setTimeout(() => out.disconnect(), 300);
  button.setAttribute("aria-pressed", "false");
  delete button.closest("figure").dataset.playing;
}

function play(button) {
  const wanted = notes[button.dataset.notes];
  stop();
  sound ??= new AudioContext();
  sound.resume();
  const out = sound.createGain();
  const limiter = sound.createDynamicsCompressor();
  out.gain.value = 0.35;
  out.connect(limiter).connect(sound.destination);
  const quarter = 60 / Number(button.dataset.tempo);
  const begin = sound.currentTime + 0.1;
  const voices = wanted.map(([start, length, pitch, velocity]) =>
    voice(out, begin + start * quarter, length * quarter, pitch, velocity));
  playing = { button, out, voices, begin, quarter };
  button.setAttribute("aria-pressed", "true");
  button.dataset.scheduled = String(voices.length);
  button.closest("figure").dataset.playing = button.dataset.notes;
  say("Playing " + button.getAttribute("aria-label").replace(/^Play /, "") + ".");
  const mine = playing;
  const end = begin + Math.max(0, ...wanted.map(([start, length]) => start + length)) * quarter;
  requestAnimationFrame(function step() {
    if (playing !== mine) return showAt(button, null);
    if (sound.currentTime > end + 0.2) {
      stop();
      say("The end.");
      return showAt(button, null);
    }
    showAt(button, (sound.currentTime - begin) / quarter);
    requestAnimationFrame(step);
  });
}

// A soft pluck: a quick start, a slow fading, a short release.
function voice(out, at, seconds, pitch, velocity) {
  const oscillator = sound.createOscillator();
  const envelope = sound.createGain();
  const loud = velocity / 127;
  const end = at + Math.max(seconds, 0.03);
  oscillator.type = "triangle";
  oscillator.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
  envelope.gain.setValueAtTime(0, at);
  envelope.gain.linearRampToValueAtTime(loud, at + 0.01);
  envelope.gain.setTargetAtTime(loud * 0.35, at + 0.01, 0.35);
  envelope.gain.setTargetAtTime(0, end - 0.02, 0.02);
  oscillator.connect(envelope).connect(out);
  oscillator.start(at);
  oscillator.stop(end + 0.15);
  return oscillator;
}

// Moves the line of the roll to a time in quarter notes; null takes it away.
function showAt(button, time) {
  const roll = button.closest(".side").querySelector(".roll");
  const line = roll.querySelector(".playhead");
  line.classList.toggle("moving", time !== null);
  if (time === null) return;
  const at = Number(roll.dataset.left) + Math.max(time, 0) * Number(roll.dataset.unit);
  const inside = String(Math.min(at, Number(roll.dataset.right)));
  line.setAttribute("x1", inside);
  line.setAttribute("x2", inside);
}

function say(text) {
  document.getElementById("status").textContent = text;
}

function onPress(button) {
  if (playing && playing.button === button) {
    stop();
    say("Stopped.");
  } else play(button);
}

for (const button of document.querySelectorAll("button.play")) {
  button.hidden = false;
  button.addEventListener("click", () => onPress(button));
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && playing) onPress(playing.button);
});

// With #selftest&play=PLACE the page presses that button and writes down what a test wants to know.
function playAsAddressed() {
  if (!options().has("selftest") || !options().has("play")) return;
  const wanted = options().get("play");
  const button = [...document.querySelectorAll("button.play")].find((one) => one.dataset.notes === wanted);
  const root = document.documentElement;
  onPress(button);
  root.dataset.pressed = button.getAttribute("aria-pressed");
  root.dataset.playing = String(button.closest("figure").dataset.playing);
  root.dataset.scheduled = button.dataset.scheduled;
  sound.resume().then(() => { root.dataset.audio = sound.state; });
  if (options().has("again")) onPress(button);
  root.dataset.after = button.getAttribute("aria-pressed");
  root.dataset.said = document.getElementById("status").textContent;
}
playAsAddressed();
