// What clients do when the process ends.

const open = new Set();

export function remember(client) {
  if (open.size === 0) {
    process.on("beforeExit", done);
    process.on("exit", end);
  }
  open.add(client);
}

export function forget(client) {
  open.delete(client);
  if (open.size === 0) {
    process.off("beforeExit", done);
    process.off("exit", end);
  }
}

// Happens again after each time that there was something to do.
function done() {
  for (const client of open) client.processIsDone();
}

// After process.exit(), or an exception that nobody caught.
function end() {
  for (const client of open) client.processEnds();
}
