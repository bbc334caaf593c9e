// The Vercel AI SDK, by its providers for OpenAI-compatible servers, OpenAI's Responses and Anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [url, models] = [process.argv[2], JSON.parse(process.argv[3])];
const providers = {
  compatible: createOpenAICompatible({ name: "gateway", baseURL: `${url}/v1`, apiKey: "none", includeUsage: true }),
  responses: createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" }),
  anthropic: createAnthropic({ baseURL: `${url}/v1`, apiKey: "none" }),
};
const steps = stepCountIs;
const weather = tool({
  description: "Tells the weather",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const told = {};
for (const [name, provider] of Object.entries(providers)) {
  const settings = { prompt: "Hello there", maxRetries: 0 };
  const answer = await generateText({ model: provider(models.text), ...settings });
  const streamed = streamText({ model: provider(models.text), ...settings });
  let text = "";
  for await (const piece of streamed.textStream) text += piece;
  const tooled = await generateText({ model: provider(models.tool), ...settings, tools: { weather }, stopWhen: steps(3) });
  let cut = "nothing";
  const broken = streamText({ model: provider(models.cut), ...settings, onError: ({ error }) => (cut = error.name ?? "error") });
  try {
    for await (const piece of broken.fullStream) if (piece.type === "error") cut = "error";
  } catch (error) {
    cut = error.name;
  }
  told[name] = {
    text: answer.text,
    usage: answer.usage.totalTokens,
    stream: text,
    tool: tooled.text,
    steps: tooled.steps.length,
    cut,
  };
}
console.log(JSON.stringify(told));
