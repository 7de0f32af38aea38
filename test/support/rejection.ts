/** What a promise is rejected with, for `expect(await rejection(...))`. */

/** The error; fails when the promise is fulfilled. */
export async function rejection(run: Promise<unknown>): Promise<Error> {
  try {
    await run;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("it was not rejected");
}
