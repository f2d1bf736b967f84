// Preloaded into a process (`--import`): SIGUSR2 blocks its event loop for BLOCK_MS ms.
process.on('SIGUSR2', () => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(process.env.BLOCK_MS ?? 15_000));
});
