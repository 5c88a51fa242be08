using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using Azure.Core;
using Azure.Messaging.WebPubSub.Clients;
using static Hubbub.Sdk.Member;

namespace Hubbub.Sdk;

/// <summary><c>Azure.Messaging.WebPubSub.Client</c>: on the reliable subprotocol unless a test says otherwise.</summary>
sealed class ClientTest
{
    const int Messages = 2000;
    const int CutEvery = 200;
    // The client acknowledges what it receives once a second, and may owe 1,000 messages.
    const int PauseEvery = 20;
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);

    // A serialized google.protobuf.Any of the type t with the value v.
    static readonly byte[] Any = { 0x0a, 1, (byte)'t', 0x12, 1, (byte)'v' };
    const string ClosedByApplication = "Application server closed the connection. Reason: ";

    readonly Server server;
    readonly Hub hub;

    public ClientTest(Server server)
    {
        this.server = server;
        hub = new Hub(server.Http);
    }

    public async Task DataOfEachTypeReachesTheGroup()
    {
        await using var member = await Start(hub.ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        foreach (var (type, data) in EachType())
        {
            await member.Client.SendToGroupAsync("room", data, type);
            var received = await Next(member.Group);
            Equal(type, received.DataType);
            Equal(data.ToArray(), received.Data.ToArray());
            Equal("room", received.Group);
            Equal("ann", received.FromUserId);
        }
    }

    public async Task OverTls()
    {
        await using var member = await Start(new Hub(server.Https).ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        await member.Client.SendToGroupAsync("room", BinaryData.FromString("one"), WebPubSubDataType.Text);
        Equal("one", (await Next(member.Group)).Data.ToString());
    }

    public async Task AnAckNamesWhatItAnswersAndADuplicate()
    {
        await using var member = await Start(hub.ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        var first = await member.Client.SendToGroupAsync("room", BinaryData.FromString("one"), WebPubSubDataType.Text, ackId: 77);
        var again = await member.Client.SendToGroupAsync("room", BinaryData.FromString("one"), WebPubSubDataType.Text, ackId: 77);
        Equal((77L, false), (first.AckId!.Value, first.IsDuplicated));
        Equal((77L, true), (again.AckId!.Value, again.IsDuplicated));
        await member.Client.SendToGroupAsync("room", BinaryData.FromString("two"), WebPubSubDataType.Text);
        Equal("one", (await Next(member.Group)).Data.ToString());
        Equal("two", (await Next(member.Group)).Data.ToString());
    }

    public async Task AnAckErrorIsAnExceptionWithItsName()
    {
        await using var member = await Start(hub.ClientUrl("ann", roles: Array.Empty<string>()));
        var error = await Throws(() => member.Client.JoinGroupAsync("room", ackId: 5));
        Equal(("Forbidden", 5L), (error.Code, error.AckId!.Value));
        error = await Throws(() => member.Client.SendToGroupAsync("room", BinaryData.FromString("one"), WebPubSubDataType.Text));
        Equal("Forbidden", error.Code);
        error = await Throws(() => member.Client.SendEventAsync("unhandled", BinaryData.FromString("one"), WebPubSubDataType.Text));
        Equal("InternalServerError", error.Code);
    }

    public async Task WithoutEchoAndWithoutAck()
    {
        await using var member = await Start(hub.ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        await member.Client.SendToGroupAsync("room", BinaryData.FromString("unheard"), WebPubSubDataType.Text, noEcho: true);
        var result = await member.Client.SendToGroupAsync("room", BinaryData.FromString("heard"), WebPubSubDataType.Text, fireAndForget: true);
        Equal(null, result.AckId);
        Equal("heard", (await Next(member.Group)).Data.ToString());
    }

    public async Task MessagesOfTheApplicationArrive()
    {
        await using var member = await Start(hub.ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        await hub.SendToAll("one");
        var message = await Next(member.FromServer);
        Equal(("one", 1L), (message.Data.ToString(), message.SequenceId!.Value));
        await hub.SendToGroup("room", "{\"two\": 2}", "application/json");
        var inGroup = await Next(member.Group);
        Equal((WebPubSubDataType.Json, 2L), (inGroup.DataType, inGroup.SequenceId!.Value));
        Equal("{\"two\":2}", inGroup.Data.ToString().Replace(" ", ""));
    }

    public async Task MessagesThatFlowWhileTheSocketIsKilledArriveOnceAndInOrder()
    {
        using var proxy = new Proxy(server.Http.Endpoint);
        await using var member = await Start(hub.Through(proxy.Endpoint).ClientUrl("ann"));
        await using var publisher = await Start(hub.ClientUrl("bob"));
        await member.Client.JoinGroupAsync("room");
        var id = member.Client.ConnectionId;
        var random = new Random(1);
        for (var number = 0; number < Messages; number++)
        {
            await publisher.Client.SendToGroupAsync("room", BinaryData.FromObjectAsJson(number), WebPubSubDataType.Json);
            if (number % CutEvery == CutEvery - 1)
            {
                Cut(proxy, random);
            }
            await Paced(number);
        }
        for (var number = 0; number < Messages; number++)
        {
            var received = await Next(member.Group);
            Equal((number, number + 1L), (received.Data.ToObjectFromJson<int>(), received.SequenceId!.Value));
        }
        await hub.SendToGroup("room", "last");
        Equal("last", (await Next(member.Group)).Data.ToString());
        Equal(id, member.Client.ConnectionId);
        Equal((0, 0), (member.Connected.Reader.Count, member.Disconnected.Reader.Count));
        Console.WriteLine($"        {Messages} messages over {proxy.Carried} sockets of one connection");
    }

    public async Task MessagesThatAreSentWhileTheSocketIsKilledArriveOnceAndInOrder()
    {
        using var proxy = new Proxy(server.Http.Endpoint);
        var patient = new WebPubSubClientOptions();
        patient.MessageRetryOptions.Mode = RetryMode.Fixed;
        patient.MessageRetryOptions.Delay = TimeSpan.FromMilliseconds(20);
        patient.MessageRetryOptions.MaxRetries = 100;
        await using var publisher = await Start(hub.Through(proxy.Endpoint).ClientUrl("bob"), patient);
        await using var member = await Start(hub.ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        var random = new Random(2);
        var duplicates = 0;
        for (var number = 0; number < Messages; number++)
        {
            if (number % CutEvery == CutEvery - 1)
            {
                Cut(proxy, random);
            }
            var result = await publisher.Client.SendToGroupAsync("room", BinaryData.FromObjectAsJson(number), WebPubSubDataType.Json, ackId: 1000 + number);
            duplicates += result.IsDuplicated ? 1 : 0;
            await Paced(number);
        }
        for (var number = 0; number < Messages; number++)
        {
            Equal(number, (await Next(member.Group)).Data.ToObjectFromJson<int>());
        }
        Equal(0, member.Group.Reader.Count);
        Console.WriteLine($"        {Messages} messages over {proxy.Carried} sockets, of which {duplicates} were answered as a duplicate");
    }

    public async Task AConnectionThatCannotBeRecoveredIsReplacedAndItsGroupsJoinedAgain()
    {
        using var proxy = new Proxy(server.Http.Endpoint);
        await using var member = await Start(hub.Through(proxy.Endpoint).ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        var id = member.Client.ConnectionId;
        proxy.Refuses = true;
        proxy.Cut();
        await hub.CloseConnection(id, "gone");
        proxy.Refuses = false;
        Equal(id, (await Next(member.Disconnected)).ConnectionId);
        NotEqual(id, (await Next(member.Connected)).ConnectionId);
        await hub.SendToGroup("room", "again");
        Equal("again", (await Next(member.Group)).Data.ToString());
        Equal(0, member.RejoinFailed.Reader.Count);
    }

    public async Task ACloseByTheApplicationIsSeenWithItsReason()
    {
        var options = Once();
        options.AutoReconnect = false;
        await using var member = await Start(hub.ClientUrl("ann"), options);
        var id = member.Client.ConnectionId;
        await hub.CloseConnection(id, "that is enough");
        var disconnected = await Next(member.Disconnected);
        Equal((id, $"{ClosedByApplication}that is enough"), (disconnected.ConnectionId, disconnected.DisconnectedMessage?.Reason));
        await Next(member.Stopped);
    }

    public async Task AClientThatTheApplicationClosedConnectsAnewByDefault()
    {
        await using var member = await Start(hub.ClientUrl("ann"));
        var id = member.Client.ConnectionId;
        await hub.CloseConnection(id, "once more");
        Equal($"{ClosedByApplication}once more", (await Next(member.Disconnected)).DisconnectedMessage?.Reason);
        NotEqual(id, (await Next(member.Connected)).ConnectionId);
    }

    public async Task AfterLeavingAGroupNothingOfItArrives()
    {
        await using var member = await Start(hub.ClientUrl("ann"));
        await member.Client.JoinGroupAsync("room");
        await member.Client.JoinGroupAsync("other");
        await member.Client.LeaveGroupAsync("room");
        await hub.SendToGroup("room", "unheard");
        await hub.SendToGroup("other", "heard");
        Equal("heard", (await Next(member.Group)).Data.ToString());
    }

    public async Task AStoppedClientHasStoppedAndStartsAgain()
    {
        await using var member = await Start(hub.ClientUrl("ann"));
        var id = member.Client.ConnectionId;
        await member.Client.StopAsync();
        await Next(member.Stopped);
        Equal(id, (await Next(member.Disconnected)).ConnectionId);
        await member.Client.StartAsync();
        NotEqual(id, (await Next(member.Connected)).ConnectionId);
    }

    public async Task ThePlainSubprotocolConnectsAnewAfterItsSocketIsKilled()
    {
        using var proxy = new Proxy(server.Http.Endpoint);
        var plain = Once();
        plain.Protocol = new WebPubSubJsonProtocol();
        await using var member = await Start(hub.Through(proxy.Endpoint).ClientUrl("ann"), plain);
        await member.Client.JoinGroupAsync("room");
        foreach (var (type, data) in EachType())
        {
            await member.Client.SendToGroupAsync("room", data, type);
            var received = await Next(member.Group);
            Equal((type, (long?)null), (received.DataType, received.SequenceId));
            Equal(data.ToArray(), received.Data.ToArray());
        }
        var id = member.Client.ConnectionId;
        proxy.Cut();
        Equal(id, (await Next(member.Disconnected)).ConnectionId);
        NotEqual(id, (await Next(member.Connected)).ConnectionId);
        await hub.SendToGroup("room", "again");
        Equal("again", (await Next(member.Group)).Data.ToString());
    }

    static IEnumerable<(WebPubSubDataType, BinaryData)> EachType()
    {
        yield return (WebPubSubDataType.Text, BinaryData.FromString("grüße \"wörtlich\" \U0001F600 \u2028"));
        yield return (WebPubSubDataType.Text, BinaryData.FromString(""));
        yield return (WebPubSubDataType.Text, BinaryData.FromString(new string('x', 100_000)));
        yield return (WebPubSubDataType.Json, BinaryData.FromString("{\"a\":[1,2.5,null,true],\"b\":{\"c\":\"d\"}}"));
        yield return (WebPubSubDataType.Json, BinaryData.FromString("\"a string\""));
        yield return (WebPubSubDataType.Binary, BinaryData.FromBytes(Enumerable.Range(0, 256).Select(value => (byte)value).ToArray()));
        yield return (WebPubSubDataType.Protobuf, BinaryData.FromBytes(Any));
    }

    static Task Paced(int number) => number % PauseEvery == 0 ? Task.Delay(Pause) : Task.CompletedTask;

    /// <summary>Now, or within what comes next.</summary>
    static void Cut(Proxy proxy, Random random)
    {
        if (random.Next(2) == 0)
        {
            proxy.Cut();
        }
        else
        {
            proxy.CutAfter(random.Next(1, 400));
        }
    }

    static async Task<SendMessageFailedException> Throws(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (SendMessageFailedException error)
        {
            return error;
        }
        throw new InvalidOperationException("no SendMessageFailedException");
    }

    static void Equal<T>(T expected, T actual)
    {
        var same = expected is byte[] left && actual is byte[] right ? left.SequenceEqual(right) : Equals(expected, actual);
        if (!same)
        {
            throw new InvalidOperationException($"expected {Shown(expected)}, not {Shown(actual)}");
        }
    }

    static void NotEqual<T>(T unexpected, T actual)
    {
        if (Equals(unexpected, actual))
        {
            throw new InvalidOperationException($"unexpected {Shown(actual)}");
        }
    }

    static string Shown(object? value) => value is byte[] bytes ? Encoding.UTF8.GetString(bytes) : $"{value ?? "null"}";
}
