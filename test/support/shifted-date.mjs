// Preloaded into a process (`--import`) to simulate a wall clock that jumps. Each SIGUSR2 shifts Date by the next value of
// CLOCK_SHIFTS (ms, comma-separated; the first applies from the start). Monotonic clocks are not changed.
const shifts = (process.env.CLOCK_SHIFTS ?? '0').split(',').map(Number);
let shift = shifts.shift() ?? 0;
process.on('SIGUSR2', () => {
  shift = shifts.shift() ?? shift;
});
const TrueDate = Date;
globalThis.Date = class extends TrueDate {
  constructor(...given) {
    if (given.length === 0) super(TrueDate.now() + shift);
    else super(...given);
  }
  static now() {
    return TrueDate.now() + shift;
  }
};
