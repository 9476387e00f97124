/** One request at a time: what is asked for while one is under way waits, and only the last of it is done. */

/**
 * @param task Given what was asked for last.
 * @param failed Given the error of a task that fails.
 * @returns A function to ask with; its promise is kept when nothing is left to do.
 */
export function latest(task, failed) {
  let next = null;
  let work = null;

  async function run() {
    while (next) {
      const now = next;
      next = null;
      try {
        await task(...now);
      } catch (error) {
        failed(error);
      }
    }
    work = null;
  }

  return function ask(...asked) {
    next = asked;
    work ??= run();
    return work;
  };
}
