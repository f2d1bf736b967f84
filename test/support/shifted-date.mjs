// Preloaded into a process (`--import`): a machine whose wall clock jumps. Each SIGUSR2 makes Date go by the next of
// the shifts in CLOCK_SHIFTS (ms, comma-separated; the first holds from the start). What is monotonic goes on as it is.
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
