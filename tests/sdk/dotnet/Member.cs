using System;
using System.Threading.Channels;
using System.Threading.Tasks;
using Azure.Messaging.WebPubSub.Clients;

namespace Hubbub.Sdk;

/// <summary>A client of the package, and what it has raised, each kind of event in its own queue.</summary>
sealed class Member : IAsyncDisposable
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    Member(Uri url, WebPubSubClientOptions? options)
    {
        Client = new WebPubSubClient(url, options ?? Once());
        Client.Connected += args => Keep(Connected, args);
        Client.Disconnected += args => Keep(Disconnected, args);
        Client.Stopped += args => Keep(Stopped, args);
        Client.GroupMessageReceived += args => Keep(Group, args.Message);
        Client.ServerMessageReceived += args => Keep(FromServer, args.Message);
        Client.RejoinGroupFailed += args => Keep(RejoinFailed, args);
    }

    public WebPubSubClient Client { get; }
    public Channel<WebPubSubConnectedEventArgs> Connected { get; } = Channel.CreateUnbounded<WebPubSubConnectedEventArgs>();
    public Channel<WebPubSubDisconnectedEventArgs> Disconnected { get; } = Channel.CreateUnbounded<WebPubSubDisconnectedEventArgs>();
    public Channel<WebPubSubStoppedEventArgs> Stopped { get; } = Channel.CreateUnbounded<WebPubSubStoppedEventArgs>();
    public Channel<GroupDataMessage> Group { get; } = Channel.CreateUnbounded<GroupDataMessage>();
    public Channel<ServerDataMessage> FromServer { get; } = Channel.CreateUnbounded<ServerDataMessage>();
    public Channel<WebPubSubRejoinGroupFailedEventArgs> RejoinFailed { get; } = Channel.CreateUnbounded<WebPubSubRejoinGroupFailedEventArgs>();

    /// <summary>Options by which an operation is tried once, so that an error of the server is seen at once.</summary>
    public static WebPubSubClientOptions Once()
    {
        var options = new WebPubSubClientOptions();
        options.MessageRetryOptions.MaxRetries = 0;
        return options;
    }

    /// <summary>A client that is connected.</summary>
    public static async Task<Member> Start(Uri url, WebPubSubClientOptions? options = null)
    {
        var member = new Member(url, options);
        await member.Client.StartAsync();
        await Next(member.Connected);
        return member;
    }

    /// <summary>The next of a queue; fails when none comes in time.</summary>
    public static async Task<T> Next<T>(Channel<T> queue) => await queue.Reader.ReadAsync().AsTask().WaitAsync(Deadline);

    public ValueTask DisposeAsync() => Client.DisposeAsync();

    static Task Keep<T>(Channel<T> queue, T item) => queue.Writer.WriteAsync(item).AsTask();
}
