// The page's camera and microphone: pictures (JPEG) and sound (int16 mono) to this server, stamped with
// one clock (performance.now). Nothing is kept in the page; late pictures are left out, sound is not.

const CHUNK_S = 0.25;
const MAX_SIDE_PX = 1280;
const JPEG_QUALITY = 0.85;
const MAX_WAITING_CHUNKS = 120; // 30 s, as long as the server would keep them

let running = null;

export function attach(element) {
  const part = (name) => element.querySelector(name);
  const page = { start: part(".rv-start"), stop: part(".rv-stop"), video: part(".rv-self"), note: part(".rv-note") };
  page.start.addEventListener("click", () => begin(page));
  page.stop.addEventListener("click", () => end(page, "Finished: what was watched is remembered."));
  window.addEventListener("pagehide", () => running && navigator.sendBeacon(`${running.url}/end`));
}

async function begin(page) {
  page.start.disabled = true;
  page.note.textContent = "Waiting for your permission …";
  let stream = null;
  try {
    stream = await devices();
    const video = stream.getVideoTracks().length > 0;
    const audio = stream.getAudioTracks().length > 0;
    const opened = await post("/live/feed", JSON.stringify({ now_ms: performance.now(), video, audio }));
    const url = `/live/feed/${encodeURIComponent(opened.stream_id)}`;
    running = { url, stream, chunks: [], sending: false, timers: [], sound: null };
    if (video) await sendPictures(page, opened.pictures_per_s);
    if (audio) await sendSound(page);
    stream.getTracks().forEach((track) => track.addEventListener("ended", () => end(page, "The camera was unplugged.")));
    page.stop.hidden = false;
    page.start.hidden = true;
    page.note.textContent = missing(video, audio);
  } catch (problem) {
    if (running) await end(page, problem.message);
    else stream?.getTracks().forEach((track) => track.stop());
    page.note.textContent = problem.message;
  } finally {
    page.start.disabled = false;
  }
}

// Both, or the one there is.
async function devices() {
  if (!navigator.mediaDevices) throw new Error("This browser gives no camera to this address: use http://127.0.0.1.");
  const picture = { width: { ideal: 1280 }, height: { ideal: 720 } };
  const sound = { echoCancellation: false, noiseSuppression: false, autoGainControl: true };
  let last = null;
  for (const wanted of [{ video: picture, audio: sound }, { video: picture }, { audio: sound }]) {
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch (problem) {
      last = problem;
      if (problem.name === "NotAllowedError") break;
    }
  }
  throw new Error(`No camera or microphone: ${last.message}.`);
}

function missing(video, audio) {
  if (video && audio) return "Watching and listening. Ask while it goes on.";
  return video ? "Watching, without a microphone." : "Listening, without a camera.";
}

async function sendPictures(page, perSecond) {
  const feed = running;
  page.video.srcObject = feed.stream;
  await page.video.play();
  page.video.classList.add("rv-on");
  const canvas = document.createElement("canvas");
  let busy = false;
  const take = async () => {
    if (busy || !page.video.videoWidth) return;
    busy = true;
    const atMs = performance.now();
    const scale = Math.min(1, MAX_SIDE_PX / Math.max(page.video.videoWidth, page.video.videoHeight));
    canvas.width = Math.round(page.video.videoWidth * scale);
    canvas.height = Math.round(page.video.videoHeight * scale);
    canvas.getContext("2d", { alpha: false }).drawImage(page.video, 0, 0, canvas.width, canvas.height);
    const jpeg = await new Promise((done) => canvas.toBlob(done, "image/jpeg", JPEG_QUALITY));
    if (running === feed) await post(`${feed.url}/picture?at_ms=${atMs}`, jpeg).catch((problem) => lost(page, feed, problem));
    busy = false;
  };
  feed.timers.push(setInterval(take, 1000 / perSecond));
}

async function sendSound(page) {
  const feed = running;
  feed.sound = new AudioContext();
  await feed.sound.audioWorklet.addModule("/live/assets/sound_tap.js");
  const rateHz = feed.sound.sampleRate;
  const framesPerChunk = Math.round(rateHz * CHUNK_S);
  const tap = new AudioWorkletNode(feed.sound, "sound-tap", {
    numberOfOutputs: 0,
    processorOptions: { framesPerChunk },
  });
  tap.port.onmessage = ({ data }) => {
    const pcm = new Int16Array(data.length);
    for (let index = 0; index < data.length; index++) {
      pcm[index] = Math.max(-1, Math.min(1, data[index])) * 32767;
    }
    feed.chunks.push({ atMs: performance.now() - (1000 * data.length) / rateHz, pcm });
    if (feed.chunks.length > MAX_WAITING_CHUNKS) feed.chunks.shift();
    drain(page, feed, rateHz);
  };
  feed.sound.createMediaStreamSource(feed.stream).connect(tap);
  await feed.sound.resume();
}

// One request at a time, so that sound arrives in order.
async function drain(page, feed, rateHz) {
  if (feed.sending) return;
  feed.sending = true;
  while (feed.chunks.length && running === feed) {
    const { atMs, pcm } = feed.chunks.shift();
    await post(`${feed.url}/sound?at_ms=${atMs}&rate_hz=${rateHz}`, pcm).catch((problem) => lost(page, feed, problem));
  }
  feed.sending = false;
}

async function lost(page, feed, problem) {
  if (running === feed) await end(page, problem.message);
}

async function end(page, words) {
  const feed = running;
  running = null;
  if (!feed) return;
  feed.timers.forEach(clearInterval);
  feed.stream.getTracks().forEach((track) => track.stop());
  page.video.srcObject = null;
  page.video.classList.remove("rv-on");
  page.stop.hidden = true;
  page.start.hidden = false;
  page.note.textContent = words;
  await feed.sound?.close();
  await post(`${feed.url}/end`).catch(() => {}); // it has ended already
}

async function post(url, body) {
  const response = await fetch(url, { method: "POST", body });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error ?? `the server answered ${response.status}`);
  return answer;
}
