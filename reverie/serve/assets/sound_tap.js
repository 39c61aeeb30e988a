// Runs on the audio thread: passes the first channel on, in stretches of `framesPerChunk` samples.
class SoundTap extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.chunk = new Float32Array(options.processorOptions.framesPerChunk);
    this.filled = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (!channels.length) return true;
    const frames = channels[0].length;
    for (let index = 0; index < frames; index++) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.chunk[this.filled++] = sum / channels.length;
      if (this.filled === this.chunk.length) {
        this.port.postMessage(this.chunk.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("sound-tap", SoundTap);
